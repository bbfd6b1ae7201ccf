import os, sys, vfs
class Disk:
    def __init__(self, path):
        self.file = open(path, 'r+b')
        self.blocks = os.stat(path)[6] // 512
    def readblocks(self, n, buffer, offset=0):
        self.file.seek(n * 512 + offset)
        self.file.readinto(buffer)
    def writeblocks(self, n, buffer, offset=0):
        self.file.seek(n * 512 + offset)
        self.file.write(buffer)
        self.file.flush()
    def ioctl(self, what, argument):
        return self.blocks if what == 4 else 512 if what == 5 else 0
disk = Disk(sys.argv[1])
try:
    flash = vfs.VfsFat(disk)
    flash.statvfs('/')
except OSError:
    vfs.VfsFat.mkfs(disk)
    flash = vfs.VfsFat(disk)
vfs.mount(flash, '/flash')
sys.path.insert(1, '/flash')
print('started')

import gc, os, sys
import hashlib as pblink_h, binascii as pblink_b
def pblink_id():
    i = sys.implementation
    print('pblink', i[0], '.'.join([str(n) for n in i[1][:3]]), sys.platform)
def pblink_place(*all):
    for p in all:
        try:
            s = os.statvfs(p)
        except OSError:
            continue
        print('pblink', p, s[1], s[3])
        return
    print('pblink -')
def pblink_lacks(*all):
    for m in all:
        try:
            __import__(m)
        except ImportError:
            print('pblink', m)
def pblink_sum(p):
    try:
        f = open(p, 'rb')
    except OSError:
        print('pblink -')
        return
    h = pblink_h.sha256()
    n = 0
    b = bytearray(512)
    v = memoryview(b)
    while True:
        k = f.readinto(b)
        if not k:
            break
        h.update(v[:k])
        n += k
    f.close()
    gc.collect()
    print('pblink', n, str(pblink_b.hexlify(h.digest()), 'ascii'))
def pblink_dir(p, end):
    try:
        os.mkdir(p)
    except OSError:
        os.stat(p)
    for n in os.listdir(p):
        if n.endswith(end):
            os.remove(p + '/' + n)
def pblink_open(p):
    global pblink_f
    pblink_f = open(p, 'wb')
def pblink_add(t):
    b = pblink_b.a2b_base64(t)
    if pblink_f.write(b) != len(b):
        raise OSError(28)
def pblink_close():
    pblink_f.close()
    hasattr(os, 'sync') and os.sync()
def pblink_drop(p):
    try:
        pblink_f.close()
    except Exception:
        pass
    try:
        os.remove(p)
    except OSError:
        pass
def pblink_name(a, b):
    os.rename(a, b)
    hasattr(os, 'sync') and os.sync()

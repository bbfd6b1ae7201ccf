//! Machines with a network of their own: namespaces of Linux, with cables to this one that can be pulled.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// A cable of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// Where this machine's services are.
    Inner,
    /// Where others reach the machine.
    Outer,
}

/// A network namespace with two cables, as long as the value lives.
#[derive(Debug)]
pub struct Machine {
    name: String,
    subnet: [u8; 2],
}

fn ip(args: &str) -> Result<(), String> {
    let done = Command::new("ip").args(args.split(' ')).output();
    let done = done.map_err(|error| format!("ip: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!("ip {args}: {}", String::from_utf8_lossy(&done.stderr).trim())),
    }
}

impl Machine {
    /// Makes one. `None`: the system gives none, which is said. Only root may have some.
    pub fn new() -> Option<Self> {
        let (name, subnet) =
            (format!("pb{:08x}", fastrand::u32(..)), fastrand::u16(..).to_be_bytes());
        // It is removed again if it is not whole.
        let machine = Self { name, subnet };
        match machine.make() {
            Ok(()) => Some(machine),
            Err(why) => {
                eprintln!("SKIPPED, no network namespace can be had: {why}");
                None
            }
        }
    }

    fn make(&self) -> Result<(), String> {
        let Self { name, .. } = self;
        ip(&format!("netns add {name}"))?;
        ip(&format!("-n {name} link set dev lo up"))?;
        for cable in [Cable::Inner, Cable::Outer] {
            let (here, there) = (self.end(cable, 'h'), self.end(cable, 'n'));
            ip(&format!("link add {here} type veth peer name {there} netns {name}"))?;
            ip(&format!("address add {}/30 dev {here}", self.host(cable)))?;
            ip(&format!("-n {name} address add {}/30 dev {there}", self.address(cable)))?;
            ip(&format!("link set dev {here} up"))?;
            self.plug(cable, true)?;
        }
        Ok(())
    }

    fn end(&self, cable: Cable, side: char) -> String {
        format!("{}{}{side}", self.name, cable as u8)
    }

    fn at(&self, cable: Cable, last: u8) -> Ipv4Addr {
        let [third, fourth] = self.subnet;
        // A network for tests only (RFC 2544), and a /30 of it for each cable.
        Ipv4Addr::new(198, 18 + (third & 1), fourth, (third & 0xf8) + 4 * cable as u8 + last)
    }

    /// Returns the address of this machine's end of a cable.
    pub fn host(&self, cable: Cable) -> Ipv4Addr {
        self.at(cable, 1)
    }

    /// Returns the address of the other end.
    pub fn address(&self, cable: Cable) -> Ipv4Addr {
        self.at(cable, 2)
    }

    /// Returns a program that is to run there.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Pulls a cable, or puts it back: nobody is told.
    ///
    /// # Errors
    /// The system's words.
    pub fn plug(&self, cable: Cable, plugged: bool) -> Result<(), String> {
        let state = if plugged { "up" } else { "down" };
        ip(&format!("-n {} link set dev {} {state}", self.name, self.end(cable, 'n')))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The cables go with it. There may be none.
        let _ = ip(&format!("netns del {}", self.name));
    }
}

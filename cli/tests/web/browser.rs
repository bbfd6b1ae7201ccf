//! A browser without a window: Debian's Chromium, spoken to by WebDriver over a plain socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Nothing here takes this long unless it hangs.
pub const HANGS: Duration = Duration::from_secs(120);

/// The key of WebDriver under which a reference to an element stands.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that are no characters.
pub const TAB: &str = "\u{e004}";
pub const SHIFT: &str = "\u{e008}";
pub const ENTER: &str = "\u{e007}";

/// A running browser with one page.
pub struct Browser {
    driver: Child,
    _output: BufReader<ChildStdout>,
    port: u16,
    session: String,
    _profile: TempDir,
}

/// An element of the page.
pub struct Element(String);

/// Returns true if the browser is installed. Otherwise that is said; in CI it has to be.
fn installed() -> bool {
    let there = |name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    if there("chromium") && there("chromedriver") {
        return true;
    }
    let missing = "Chromium is not installed (apt-get install chromium chromium-driver)";
    assert!(std::env::var_os("CI").is_none_or(|ci| ci.is_empty()), "{missing}");
    eprintln!("passed over: {missing}");
    false
}

impl Browser {
    /// Starts one with a page of this size. `None`: it is not installed, which is said.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        if !installed() {
            return None;
        }
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let mut output = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "chromedriver names its port");
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let mut browser =
            Self { driver, _output: output, port, session: String::new(), _profile: profile };
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &folder,
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": "/usr/bin/chromium", "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": HANGS.as_millis() as u64 / 2 },
        } } });
        let answer = browser.ask("POST", "/session", Some(&wanted)).unwrap();
        let session = answer["sessionId"].as_str().unwrap();
        session.clone_into(&mut browser.session);
        let phone = width < 600;
        browser.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
        Some(browser)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Value> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(HANGS)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.port,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let (mut status, mut length) = (String::new(), 0);
        reader.read_line(&mut status).unwrap();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).unwrap();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let value = answer["value"].clone();
        if status.contains(" 200 ") { Ok(value) } else { Err(value) }
    }

    /// Sends a command of the session.
    fn tell(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, &format!("/session/{}{path}", self.session), body);
        answer.unwrap_or_else(|error| {
            panic!("{method} {path}: {}: {}", error["error"], error["message"])
        })
    }

    /// Sends a command of Chromium's own protocol.
    pub fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.tell("POST", "/goog/cdp/execute", Some(&body))
    }

    pub fn open(&self, url: &str) {
        self.tell("POST", "/url", Some(&json!({ "url": url })));
    }

    /// Runs the body of a function in the page, and returns what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.tell("POST", "/execute/sync", Some(&json!({ "script": script, "args": [] })))
    }

    /// Waits in the page until the body of a function returns something that counts as true, and returns that.
    pub fn wait(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[0];\n\
             const look = async () => {{\n\
               const found = await (async () => {{ {script} }})();\n\
               if (found) done(found); else setTimeout(look, 20);\n\
             }};\n\
             look().catch((error) => done({{ failed: String(error) }}));"
        );
        let body = json!({ "script": script, "args": [] });
        let path = format!("/session/{}/execute/async", self.session);
        loop {
            match self.ask("POST", &path, Some(&body)) {
                Ok(found) => {
                    assert!(found["failed"].is_null(), "{found}: {script}");
                    return found;
                }
                // The page was left meanwhile: the next one is asked.
                Err(error)
                    if error["message"].as_str().unwrap_or_default().contains("unloaded") => {}
                Err(error) => {
                    let text = self.run("return document.body.innerText");
                    panic!("{}: {script}\n{}", error["message"], text.as_str().unwrap_or_default());
                }
            }
        }
    }

    /// Returns the first element that fits this selector.
    pub fn find(&self, selector: &str) -> Element {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.tell("POST", "/element", Some(&body));
        Element(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Returns all elements that a user can act on, as far as they can be seen, in the order of the page.
    pub fn controls(&self) -> Vec<Element> {
        let found = self.run(
            "return [...document.querySelectorAll('a, button, input, select, textarea, summary, [tabindex], [onclick]')]\
             .filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility({ visibilityProperty: true }))",
        );
        let ids = found.as_array().unwrap().iter();
        ids.map(|one| Element(one[ELEMENT].as_str().unwrap().to_owned())).collect()
    }

    pub fn click(&self, selector: &str) {
        let Element(id) = self.find(selector);
        self.tell("POST", &format!("/element/{id}/click"), Some(&json!({})));
    }

    /// Types into an element.
    pub fn keys(&self, selector: &str, text: &str) {
        let Element(id) = self.find(selector);
        self.tell("POST", &format!("/element/{id}/value"), Some(&json!({ "text": text })));
    }

    /// Presses keys together, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let down = keys.iter().map(|key| json!({ "type": "keyDown", "value": key }));
        let up = keys.iter().rev().map(|key| json!({ "type": "keyUp", "value": key }));
        let actions: Vec<_> = down.chain(up).collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.tell("POST", "/actions", Some(&body));
    }

    /// Returns the element that has the focus.
    pub fn focused(&self) -> Element {
        let found = self.tell("GET", "/element/active", None);
        Element(found[ELEMENT].as_str().unwrap().to_owned())
    }

    /// Returns role and name of an element in the tree for those who do not see the page.
    pub fn role_and_name(&self, Element(id): &Element) -> (String, String) {
        let get = |what| self.tell("GET", &format!("/element/{id}/{what}"), None);
        let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
        (text(get("computedrole")), text(get("computedlabel")))
    }

    /// Returns true if both are the same element.
    pub fn same(&self, Element(a): &Element, Element(b): &Element) -> bool {
        let args = json!([{ ELEMENT: a }, { ELEMENT: b }]);
        let body = json!({ "script": "return arguments[0] === arguments[1]", "args": args });
        self.tell("POST", "/execute/sync", Some(&body)) == true
    }

    /// Returns what the page has logged since it was asked last.
    pub fn log(&self, kind: &str) -> Vec<Value> {
        let body = json!({ "type": kind });
        let Value::Array(entries) = self.tell("POST", "/se/log", Some(&body)) else { panic!() };
        entries
    }

    /// Chooses light or dark.
    pub fn scheme(&self, name: &str) {
        let feature = json!({ "name": "prefers-color-scheme", "value": name });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// Writes a picture of the whole page.
    pub fn picture(&self, to: &Path) {
        let whole = json!({ "captureBeyondViewport": true, "format": "png" });
        let picture = self.devtools("Page.captureScreenshot", whole);
        let text = picture["data"].as_str().unwrap();
        let mut bytes = vec![0; text.len()];
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, Base64::decode(text, &mut bytes).unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without an answer the processes end with their driver.
        if !self.session.is_empty() {
            let _ = self.ask("DELETE", &format!("/session/{}", self.session), None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

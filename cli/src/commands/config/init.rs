//! `pblink config init`

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};

use super::cannot_write;
use super::dialogue::{self, Dialogue, Terminal};
use crate::exit::{Exit, Failed};
use crate::git;
use crate::output::diagnostics;
use crate::output::stdout::print;
use crate::settings::{
    self, CoprocessorKind, DEFAULT_FILE, PASSWORD_ENV, Secret, Settings, Value, shell_word,
};
use crate::typed::has_terminal;

const EXAMPLES: &str = "\
Examples:
  pblink config init
  pblink config init --coprocessor esp32c3
  pblink config init --yes --server 192.168.1.5 --ssid Home --password-file password.txt
  pblink config init --config kitchen.toml --client kitchen --report 1min";

/// Arguments of `pblink config init`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The file to write; it must not exist yet.
    #[arg(long = "config", alias = "path", value_name = "FILE", default_value = DEFAULT_FILE)]
    pub path: PathBuf,
    /// The address and TCP port that boards connect to. Default: this machine's own, and 8123.
    #[arg(long, value_name = "HOST[:PORT]", conflicts_with_all = ["host", "port"])]
    pub server: Option<String>,
    /// As `--server`; kept for those who know it.
    #[arg(long, hide = true)]
    pub host: Option<String>,
    /// As `--server`; kept for those who know it.
    #[arg(long, hide = true)]
    pub port: Option<String>,
    /// Time without data after which a link counts as down, such as `2s`; a plain number is
    /// milliseconds. Default: 2s.
    #[arg(long = "timeout", alias = "timeout-ms", value_name = "TIME")]
    pub timeout_ms: Option<String>,
    /// The board's id. Repeat it for other boards that the server expects, too. Default: 1.
    #[arg(long, value_name = "ID")]
    pub client: Vec<String>,
    /// The board's id, if it is not the first of `--client`; kept for those who know it.
    #[arg(long, hide = true)]
    pub id: Option<String>,
    /// Time between reports of the coprocessor, such as `10s`; a plain number is seconds, 0 never.
    /// Default: 10s.
    #[arg(long = "report", alias = "report-s", value_name = "TIME")]
    pub report_s: Option<String>,
    /// The chip that gives the board its network. Default: esp8266.
    #[arg(long, value_enum, value_name = "KIND")]
    pub coprocessor: Option<CoprocessorKind>,
    /// The WiFi network. Default: the one that the coprocessor remembers.
    #[arg(long, value_name = "NAME")]
    pub ssid: Option<String>,
    /// A file that holds the WiFi password, which goes into the secrets file; `-` is standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Ask nothing: take the defaults for what no flag gives.
    #[arg(short, long)]
    pub yes: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    refuse_existing(&args.path)?;
    let start = defaults();
    // `--password-file -` takes stdin, so nobody can answer there.
    let stdin_taken = args.password_file.as_deref() == Some(Path::new("-"));
    let dialogue = (!args.yes && !stdin_taken && has_terminal()).then_some(Terminal);
    let secrets = folder_of(&args.path).join(&start.wifi.secrets);
    let plan = plan(&args, start, secrets, dialogue)?;
    write(&plan)
}

/// The files that will be written, and the password.
#[derive(Debug)]
struct Plan {
    path: PathBuf,
    text: String,
    secrets: PathBuf,
    password: Option<Secret>,
}

/// Returns the defaults of a new file: those of the settings, but with this machine's own address.
fn defaults() -> Settings {
    let mut settings = Settings::default();
    if let Some(ip) = own_address() {
        settings.server.host = ip.to_string();
    }
    settings
}

/// Returns the address from which this machine reaches other networks. Connecting a UDP socket
/// sends nothing: it only asks the routing table.
fn own_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address that is reserved for documentation, so nobody's.
    socket.connect((Ipv4Addr::new(203, 0, 113, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_unspecified() => Some(ip),
        _ => None,
    }
}

fn plan(
    args: &Args,
    mut settings: Settings,
    secrets: PathBuf,
    mut dialogue: Option<impl Dialogue>,
) -> anyhow::Result<Plan> {
    if args.password_file.is_some() && exists(&secrets) {
        return Err(Failed::with(
            Exit::Config,
            format!(
                "{} exists, and init never overwrites; leave --password-file out to use it as it \
                 is, or remove it",
                secrets.display()
            ),
        ));
    }
    let one = |flag: &Option<String>| flag.iter().cloned().collect::<Vec<_>>();
    let (host, port) = match &args.server {
        Some(server) => split(server),
        None => (args.host.clone(), args.port.clone()),
    };
    let id = args.id.as_ref().or(args.client.first()).cloned();
    let questions = [
        ("--server", "server.host", "Address of the server, as boards reach it", one(&host)),
        ("--server", "server.port", "TCP port", one(&port)),
        (
            "--timeout",
            "server.timeout_ms",
            "Milliseconds of silence that count as an outage",
            one(&args.timeout_ms),
        ),
        ("--client", "board.id", "Id of the board", one(&id)),
        (
            "--client",
            "server.clients",
            "Ids that the server expects ([] = any)",
            args.client.iter().map(|id| Value::from(id.as_str()).in_a_list()).collect(),
        ),
        ("--report", "board.report_s", "Seconds between reports (0 = never)", one(&args.report_s)),
        (
            "--ssid",
            "wifi.ssid",
            "WiFi network (empty = the one the ESP8266 knows)",
            one(&args.ssid),
        ),
    ];
    // Flags first: a wrong one is reported before any question is asked.
    for (flag, key, _, words) in &questions {
        let entry = settings::entry(key).expect("questions are about keys");
        if !words.is_empty() {
            entry
                .value_of(words)
                .and_then(|value| entry.apply(&mut settings, &value))
                .map_err(|problem| Failed::with(Exit::Usage, format!("{flag}: {problem}")))?;
        }
    }
    if let (Some(dialogue), true) = (&mut dialogue, questions.iter().any(|q| q.3.is_empty())) {
        dialogue
            .say(&format!("Settings for {}; Enter takes the value in [].", args.path.display()))?;
    }
    for (_, key, question, words) in &questions {
        let entry = settings::entry(key).expect("questions are about keys");
        if *key == "server.clients" && words.is_empty() {
            settings.server.clients = vec![settings.board.id.clone()];
        }
        if let (Some(dialogue), true) = (&mut dialogue, words.is_empty()) {
            dialogue::value(dialogue, &mut settings, entry, question)?;
        }
        if let (&"wifi.ssid", Some(note)) = (key, settings.odd_ssid()) {
            match &mut dialogue {
                Some(dialogue) => dialogue.say(&format!("note: {note}"))?,
                None => diagnostics::note(note),
            }
        }
    }
    if let Some(coprocessor) = args.coprocessor {
        settings.board.coprocessor = coprocessor;
    }
    // The default of one key must not clash with the choice for another.
    if let Some(control) = &mut settings.server.control
        && control.port() == settings.server.port
    {
        control.set_port(settings.server.port.checked_add(1).unwrap_or(8124));
    }
    let password = password(args, &settings, &secrets, dialogue.as_mut())?;
    let text = settings::filled_template(&settings);
    let (read_back, mut problems) = settings::read(&args.path, &text);
    problems.extend(read_back.config_line_problem(password.as_ref()));
    if let Some(problem) = problems.first() {
        return Err(Failed::with(
            Exit::Config,
            format!("{}; nothing was written", problem.message),
        ));
    }
    Ok(Plan { path: args.path.clone(), text, secrets, password })
}

/// Returns host and port of `HOST[:PORT]`; more than one colon without brackets is an IPv6 address.
fn split(server: &str) -> (Option<String>, Option<String>) {
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match server.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (server, None),
        },
    };
    (Some(host.to_owned()), port.map(str::to_owned))
}

/// Returns the password to write into the secrets file; `None` when there is nothing to write.
fn password(
    args: &Args,
    settings: &Settings,
    secrets: &Path,
    dialogue: Option<&mut impl Dialogue>,
) -> anyhow::Result<Option<Secret>> {
    if let Some(file) = &args.password_file {
        return settings::read_password(file).map(Some);
    }
    let Some(dialogue) = dialogue.filter(|_| !settings.wifi.ssid.is_empty()) else {
        return Ok(None);
    };
    if std::env::var_os(PASSWORD_ENV).is_some_and(|value| !value.is_empty()) {
        dialogue.say(&format!("The WiFi password is in {PASSWORD_ENV} and stays there."))?;
        return Ok(None);
    }
    if exists(secrets) {
        dialogue.say(&format!("The WiFi password is taken from {}.", secrets.display()))?;
        return Ok(None);
    }
    let secret = dialogue::password(dialogue, "WiFi password")?;
    Ok((!secret.expose().is_empty()).then_some(secret))
}

fn write(plan: &Plan) -> anyhow::Result<Exit> {
    let Plan { path, text, secrets, password } = plan;
    if let Some(password) = password {
        settings::create_secrets(secrets, password).map_err(|e| cannot_write(secrets, &e))?;
    }
    if let Err(error) = settings::create_new(path, text) {
        if password.is_some() {
            let _ = std::fs::remove_file(secrets);
        }
        refuse_existing(path)?;
        return Err(cannot_write(path, &error));
    }
    let mut said = format!("wrote {}\n", path.display());
    if password.is_some() {
        said += &format!("wrote {} (mode 0600: only you can read it)\n", secrets.display());
        said += &git_hint(secrets, "password");
    }
    let flag = match path.to_str() {
        Some(DEFAULT_FILE) => String::new(),
        _ => format!(" --config {}", shell_word(path)),
    };
    said += &format!(
        "next: `pblink config check{flag}`\n      \
         `pblink config push{flag}` with a board on its cable: settings, and keys of its own\n      \
         `pblink serve{flag}`\n"
    );
    print(said.as_bytes())
}

fn refuse_existing(path: &Path) -> anyhow::Result<()> {
    if !exists(path) {
        return Ok(());
    }
    Err(Failed::with(
        Exit::Config,
        format!(
            "{} exists, and init never overwrites; change it with `pblink config set KEY VALUE`, \
             or choose another file with --config",
            path.display()
        ),
    ))
}

/// Returns true if something has that name, be it a symbolic link to nowhere.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Returns a line that says how to keep a file with `what` out of git; empty when there is no need to.
pub(super) fn git_hint(file: &Path, what: &str) -> String {
    let hint = |command| {
        format!("hint: this is a git repository; keep the {what} out of it with `{command}`\n")
    };
    git::ignore_command(file).map(hint).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::Script;
    use super::*;

    fn talk(args: &Args, answers: &str) -> (anyhow::Result<Plan>, String) {
        let mut script = Script { answers: answers.lines(), shown: String::new() };
        let nowhere = PathBuf::from("no-such-folder/pblink.secrets.toml");
        let plan = plan(args, Settings::default(), nowhere, Some(&mut script));
        (plan, script.shown)
    }

    fn args() -> Args {
        Args { path: DEFAULT_FILE.into(), ..Args::default() }
    }

    #[test]
    fn enter_takes_the_defaults() {
        let (plan, shown) = talk(&args(), "\n\n\n\n\n\n\n");
        assert_eq!(plan.unwrap().text, settings::filled_template(&Settings::default()));
        insta::assert_snapshot!(shown, @r#"
        Settings for pblink.toml; Enter takes the value in [].
        Address of the server, as boards reach it [192.168.0.42]: 
        TCP port [8123]: 
        Milliseconds of silence that count as an outage [2000]: 
        Id of the board [1]: 
        Ids that the server expects ([] = any) [1]: 
        Seconds between reports (0 = never) [10]: 
        WiFi network (empty = the one the ESP8266 knows):
        "#);
    }

    #[test]
    fn the_coprocessor_of_the_flag_is_in_the_file() {
        let coprocessor = Some(CoprocessorKind::Esp32c3);
        let (plan, _) = talk(&Args { coprocessor, ..args() }, "\n\n\n\n\n\n\n");
        assert!(plan.unwrap().text.contains("\ncoprocessor = \"esp32c3\"\n"));
    }

    #[test]
    fn a_wrong_answer_is_explained_and_asked_for_again() {
        let (plan, shown) = talk(
            &args(),
            "0.0.0.0\n10.0.0.7\nmany\n9000\n5\n1s\nkitchen\nkitchen, \"a, b\" hall\n-1\n1min\nHome\nshort\nhunter2hunter2\n",
        );
        let plan = plan.unwrap();
        let (settings, problems) = settings::read(&plan.path, &plan.text);
        assert_eq!(problems, []);
        assert_eq!(settings.server.host, "10.0.0.7");
        assert_eq!(settings.server.clients, ["kitchen", "a, b", "hall"]);
        assert_eq!((settings.server.timeout_ms, settings.board.report_s), (1000, 60));
        assert_eq!(settings.wifi.ssid, "Home");
        assert_eq!(plan.password.as_ref().map(Secret::expose), Some("hunter2hunter2"));
        assert!(!plan.text.contains("hunter2") && !shown.contains("hunter2"));
        insta::assert_snapshot!(shown, @r#"
        Settings for pblink.toml; Enter takes the value in [].
        Address of the server, as boards reach it [192.168.0.42]: 0.0.0.0
        `server.host` must be the IP address or host name that boards connect to, such as "192.168.0.42", not "0.0.0.0"
        Address of the server, as boards reach it [192.168.0.42]: 10.0.0.7
        TCP port [8123]: many
        `server.port` must be a whole number from 1 to 65535, not "many"
        TCP port [8123]: 9000
        Milliseconds of silence that count as an outage [2000]: 5
        `server.timeout_ms` must be a whole number of milliseconds from 100 to 60000, or a time such as "2s" (keepalives go out four times as often: less would flood the WiFi, more would hide an outage), not 5
        Milliseconds of silence that count as an outage [2000]: 1s
        Id of the board [1]: kitchen
        Ids that the server expects ([] = any) [kitchen]: kitchen, "a, b" hall
        Seconds between reports (0 = never) [10]: -1
        `board.report_s` must be a whole number of seconds from 0 to 86400, or a time such as "10s"; 0 is never, not -1
        Seconds between reports (0 = never) [10]: 1min
        WiFi network (empty = the one the ESP8266 knows): Home
        WiFi password, not shown while you type (empty = none): 
        a WiFi password has 8 to 63 bytes, this one has 5
        WiFi password, not shown while you type (empty = none):
        "#);
    }

    #[test]
    fn every_blank_of_the_networks_name_counts_and_is_pointed_out() {
        for (answer, ssid) in [("Anna's phone ", "Anna's phone "), ("  Home", "  Home"), ("  ", "")]
        {
            let (plan, shown) =
                talk(&args(), &format!(" 10.0.0.7 \n\n\n\n\n\n{answer}\nhunter2hunter2\n"));
            let plan = plan.unwrap();
            let (settings, _) = settings::read(&plan.path, &plan.text);
            assert_eq!(
                (settings.server.host.as_str(), settings.wifi.ssid.as_str()),
                ("10.0.0.7", ssid)
            );
            assert_eq!(shown.contains("\nnote: `wifi.ssid` = "), !ssid.is_empty(), "{shown}");
        }
    }

    #[test]
    fn what_is_not_text_is_asked_again() {
        let answers = "not text\n10.0.0.7\n\n\n\n\n\nnot text\nHome\nhunter2\u{fffd}hunter2\nhunter2hunter2\n";
        let (plan, shown) = talk(&args(), answers);
        let plan = plan.unwrap();
        let (settings, _) = settings::read(&plan.path, &plan.text);
        assert_eq!(
            (settings.server.host.as_str(), settings.wifi.ssid.as_str()),
            ("10.0.0.7", "Home")
        );
        assert_eq!(plan.password.as_ref().map(Secret::expose), Some("hunter2hunter2"));
        assert_eq!(shown.matches("that is not UTF-8 text").count(), 3, "{shown}");
    }

    #[test]
    fn what_a_flag_gives_is_not_asked() {
        let flags = Args {
            host: Some("pi".into()),
            port: Some("8124".into()),
            timeout_ms: Some("500".into()),
            id: Some("7".into()),
            client: vec!["7".into(), "8".into()],
            report_s: Some("0".into()),
            ssid: Some(String::new()),
            ..args()
        };
        let (plan, shown) = talk(&flags, "");
        assert_eq!(shown, "");
        let plan = plan.unwrap();
        let (settings, _) = settings::read(&plan.path, &plan.text);
        assert_eq!((settings.server.host.as_str(), settings.server.port), ("pi", 8124));
        assert_eq!(settings.server.clients, ["7", "8"]);
        // The control API moved out of the way of the port.
        assert_eq!(settings.server.control.unwrap().port(), 8125);
    }

    #[test]
    fn one_flag_names_server_and_port_and_one_names_the_boards() {
        for (server, host, port) in [
            ("pi", "pi", 8123),
            ("pi:9000", "pi", 9000),
            ("::1", "::1", 8123),
            ("[::1]:9000", "::1", 9000),
        ] {
            let client = vec!["a, b".into(), "attic".into()];
            let flags = Args { server: Some(server.into()), client, ..args() };
            let nowhere = PathBuf::from("no-such-folder/pblink.secrets.toml");
            let plan = plan(&flags, Settings::default(), nowhere, None::<Terminal>).unwrap();
            let (settings, problems) = settings::read(&plan.path, &plan.text);
            assert_eq!(problems, []);
            assert_eq!((settings.server.host.as_str(), settings.server.port), (host, port));
            assert_eq!(settings.board.id, "a, b");
            assert_eq!(settings.server.clients, ["a, b", "attic"]);
        }
    }

    #[test]
    fn giving_up_ends_the_dialogue() {
        for answers in ["", "\n\n", "\n\n\n\n\n\nHome\n", "\n\n\n\n\n\nHome\n^C\n"] {
            let (plan, _) = talk(&args(), answers);
            let error = plan.unwrap_err();
            assert_eq!(Exit::of(&error), Exit::Interrupted, "{answers:?}");
            assert_eq!(error.to_string(), "stopped; nothing was written");
        }
    }

    #[test]
    fn a_wrong_flag_is_reported_before_any_question() {
        let (plan, shown) = talk(&Args { report_s: Some("often".into()), ..args() }, "");
        let error = plan.unwrap_err();
        assert_eq!(Exit::of(&error), Exit::Usage);
        assert!(error.to_string().starts_with("--report: `board.report_s` must be"), "{error}");
        assert_eq!(shown, "");
    }
}

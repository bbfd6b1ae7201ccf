//! Several boards in one file.

use super::{Home, process};

const TWO: &str = "\
[server]
clients = [\"kitchen\", \"attic\"]

# The one beside the sink.
[[board]]
id = \"kitchen\"
log = \"errors\"

[[board]]
id = \"attic\"
pins = [\"Y9\", \"Y10\", \"X1\", \"X2\", \"X3\"]
";

fn home() -> Home {
    let home = Home::new();
    home.write("pblink.toml", TWO);
    home
}

#[test]
fn all_boards_are_checked_and_shown() {
    let home = home();
    let said = home.config(&["check"]);
    assert_eq!((said.code, &*said.out, &*said.err), (0, "ok\n", ""));
    let said = home.config(&["show"]);
    for row in [
        "board[0].id            \"kitchen\"                pblink.toml:6",
        "board[0].log           \"errors\"                 pblink.toml:7",
        "board[1].id            \"attic\"                  pblink.toml:10",
        "board[1].log           \"link\"                   default",
        "board[1].kind          \"pyboard\"                default",
    ] {
        assert!(said.out.lines().any(|line| line.trim_end() == row), "{row}:\n{}", said.out);
    }
    let shown: serde_json::Value =
        serde_json::from_str(&home.config(&["show", "--json"]).out).unwrap();
    assert_eq!(shown["settings"]["board[1].id"]["value"], "attic");
    assert_eq!(shown["settings"]["board[1].id"]["line"], 10);
    assert_eq!(shown["settings"]["board.id"], serde_json::Value::Null);
    let said = home.config(&["set", "server.clients", "kitchen"]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = home.config(&["check"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.out.contains("pblink.toml:10:1: `server.clients` does not list the board \"attic\""),
        "{said:?}"
    );
}

#[test]
fn one_board_of_a_list_is_changed_by_its_number() {
    let home = home();
    let said = home.config(&["set", "board[1].log", "lines"]);
    assert_eq!((said.code, &*said.out), (0, "pblink.toml:12: board[1].log = \"lines\"\n"));
    assert_eq!(home.read("pblink.toml"), TWO.to_owned() + "log = \"lines\"\n");
    let said = home.config(&["set", "board.log", "lines"]);
    assert_eq!(said.code, 2);
    assert!(
        said.err.contains("write board[N].log, with the number of a board from 0 to 1"),
        "{said:?}"
    );
    let said = home.config(&["set", "board[2].log", "lines"]);
    assert_eq!(said.code, 2, "{said:?}");
    let said = home.config(&["set", "board[1].id", "kitchen"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("two boards with the id \"kitchen\""), "{said:?}");
}

#[test]
fn verbs_want_to_know_which_board() {
    let home = home();
    let want =
        "there are 2 boards: name one with --board ID; pblink.toml has \"kitchen\", \"attic\"";
    let unknown = "there is no board \"cellar\"; pblink.toml has \"kitchen\", \"attic\"";
    for verb in [
        &["config", "export", "--output", "-"][..],
        &["config", "push"],
        &["config", "check", "--board"],
        &["doctor", "--board"],
        &["simulate", "--for", "1s"],
        &["up", "--dry-run"],
    ] {
        let said = home.run(verb, &[], "");
        assert!(said.code == 2 && said.err.contains(want), "{verb:?}: {said:?}");
        let board: &[&str] =
            if verb.last() == Some(&"--board") { &["cellar"] } else { &["--board", "cellar"] };
        let said = home.run(&[verb, board].concat(), &[], "");
        assert!(said.code == 2 && said.err.contains(unknown), "{verb:?}: {said:?}");
    }
    let said = home.config(&["export", "--output", "-", "--board", "attic"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("Y9") && !said.out.contains("X9"), "{said:?}");
    let said = home.run(&["up", "--dry-run", "--board", "attic"], &[], "");
    assert!(said.out.contains("pblink config push --board attic"), "{said:?}");
}

#[test]
fn a_simulated_board_has_the_id_of_the_one_that_is_named() {
    let home = home();
    let mut serve = process::Serve::start(&["--client", "attic"]);
    let said = home.run(
        &["simulate", "--board", "attic", "--count", "1", "--server", &serve.address],
        &[],
        "",
    );
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(serve.wait_for("line_in")["client"], "attic");
}

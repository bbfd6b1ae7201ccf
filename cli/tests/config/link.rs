//! Keys of boards in `pblink.toml`.

use super::*;

/// As `pblink config init` of an older version has written it, with the line that is a mistake now.
const OLD: &str = "\
[server]
port = 9000

[link]
# How both ends talk. \"classic\" is what the published micropython-iot code understands.
protocol = \"classic\"
# More.
";

#[test]
fn a_file_of_an_older_version_is_refused_with_what_takes_the_place_of_its_key() {
    let home = Home::new();
    home.write("pblink.toml", OLD);
    for args in [&["config", "check"][..], &["config", "show"], &["serve"], &["config", "push"]] {
        let said = home.run(args, &[], "");
        assert_eq!(said.code, 3, "{args:?}: {said:?}");
        let all = said.out + &said.err;
        assert!(all.contains("pblink.toml:6:1: `link.protocol` is a key no more"), "{all}");
        assert!(all.contains("`link.classic`") && all.contains("config push"), "{all}");
    }
    // All other changes wait until it is out.
    let said = home.config(&["set", "server.port", "9001"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(home.read("pblink.toml"), OLD);

    let said = home.config(&["unset", "link.protocol"]);
    assert_eq!((said.code, &*said.err), (0, ""), "{said:?}");
    assert_eq!(said.out, "pblink.toml: link.protocol is not given any more\n");
    let without: String = OLD
        .lines()
        .filter(|l| !l.contains("classic"))
        .fold(String::new(), |text, line| text + line + "\n");
    assert_eq!(home.read("pblink.toml"), without);
    let said = home.config(&["unset", "link.protocol"]);
    assert_eq!(said.out, "pblink.toml does not give link.protocol\n");
}

#[test]
fn the_former_key_is_refused_wherever_it_is_named() {
    let home = Home::new();
    home.write("pblink.toml", "");
    for args in [&["set", "link.protocol", "classic"][..], &["get", "link.protocol"]] {
        let said = home.config(args);
        assert_eq!((said.code, &*said.out), (2, ""), "{said:?}");
        assert!(said.err.contains("`link.classic`"), "{said:?}");
    }
    let said = home.run(&["config", "show"], &[("PBLINK_LINK_PROTOCOL", "classic")], "");
    assert_eq!((said.code, &*said.out), (3, ""), "{said:?}");
    assert!(said.err.contains("PBLINK_LINK_PROTOCOL: `link.protocol` is a key no"), "{said:?}");
    assert!(said.err.contains("`link.classic`"), "{said:?}");
}

#[test]
fn a_new_file_has_keys_and_says_how_boards_get_them() {
    let home = Home::new();
    let said = home.config(&["init", "--yes", "--client", "kitchen"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("`pblink config push`") && said.out.contains("keys"), "{said:?}");
    assert!(home.read("pblink.toml").contains("\nkeys = \"pblink.keys.toml\"\n"));
    assert!(home.read("pblink.toml").contains("\nclassic = []\n"));
    let said = home.config(&["show"]);
    let row = said.out.lines().find(|line| line.starts_with("link.keys")).unwrap();
    assert!(row.contains("\"pblink.keys.toml\"") && row.contains("pblink.toml:"), "{row}");
}

/// A simulated board without keys would knock for ever.
#[test]
fn a_simulated_board_is_told_that_its_server_wants_keys() {
    let home = Home::new();
    home.write("pblink.toml", "[server]\nport = 1\n[link]\nclassic = [\"old\"]\n");
    let simulate = |id: &str| {
        home.run(&["simulate", "--client", id, "--count", "1", "--for", "100ms"], &[], "").err
    };
    assert!(simulate("1").contains("note: by pblink.toml 1 has keys"), "{}", simulate("1"));
    assert!(!simulate("old").contains("note: "), "{}", simulate("old"));
}

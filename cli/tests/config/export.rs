//! `pblink config export`.

use super::*;

const CONFIG_PY: &str = "config.py";

#[test]
fn the_file_of_pb_link_is_written_for_its_owner_alone_and_again() {
    let home = Home::new();
    home.init();
    home.secrets(0o600);
    for set in [&["wifi.ssid", "Home"] as &[&str], &["board.pins", "Y9,Y10,X1,X2,X3"]] {
        assert_eq!(home.config(&[&["set"], set].concat()).code, 0);
    }
    let said = home.config(&["export", "--format", "micropython"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    assert_eq!(said.out, "wrote config.py (mode 0600, with the WiFi password)\n");
    let text = home.read(CONFIG_PY);
    assert!(text.contains("'10.0.0.7',") && text.contains(&format!("'{PASSWORD}',")), "{text}");
    assert!(text.contains("I2C(2, mode=I2C.SLAVE)") && text.contains("(Pin('X2'), 0, 200)"));
    assert_eq!(fs::metadata(home.path(CONFIG_PY)).unwrap().mode() & 0o7777, 0o600);

    // Its own file is replaced, and closed to others.
    fs::set_permissions(home.path(CONFIG_PY), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(home.config(&["set", "server.port", "9000"]).code, 0);
    assert_eq!(home.config(&["export"]).code, 0);
    assert!(home.read(CONFIG_PY).contains("    9000,  #"));
    assert_eq!(fs::metadata(home.path(CONFIG_PY)).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn what_somebody_else_has_written_stays_unless_it_is_to_go() {
    let home = Home::new();
    home.init();
    for (name, make) in [("config.py", true), ("folder", false)] {
        match make {
            true => home.write(name, "config = [1]\n"),
            false => fs::create_dir(home.path(name)).unwrap(),
        }
        let said = home.config(&["export", "--output", name]);
        assert_eq!((said.code, said.out.as_str()), (3, ""), "{said:?}");
        assert!(said.err.contains(name) && said.err.contains("--output"), "{said:?}");
    }
    assert_eq!(home.read("config.py"), "config = [1]\n");
    assert_eq!(home.config(&["export", "--force"]).code, 0);
    assert!(home.read("config.py").contains("'10.0.0.7'"));
    let said = home.config(&["export", "--output", "no/such/folder/config.py"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("cannot write no/such/folder/config.py"), "{said:?}");
}

#[test]
fn standard_output_gets_the_file_and_nothing_else() {
    let home = Home::new();
    let said = home.config(&["export", "--output", "-"]);
    assert_eq!(said.code, 0);
    assert!(said.out.starts_with("# Configuration of pb_link") && said.out.ends_with("]\n"));
    assert!(said.err.contains("the defaults are exported"), "{said:?}");
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn pins_that_the_board_does_not_have_are_refused_with_what_it_has() {
    let home = Home::new();
    home.init();
    for pins in ["X9,X10,X11,X12", "X1,X2,X11,X12,Y8", "X9,X10,X11,X12,Z1"] {
        let said = home.config(&["set", "board.pins", pins]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.err.contains("five different pins") && said.err.contains("Y9 and Y10"),
            "{said:?}"
        );
    }
    home.write("pblink.toml", "[board]\npins = [\"X9\"]\n");
    let said = home.config(&["export"]);
    assert_eq!(said.code, 3);
    assert!(said.err.contains("pblink.toml:2:8: `board.pins` must be"), "{said:?}");
    assert_eq!(home.names(), ["pblink.toml"]);
}

#[test]
fn a_board_that_pb_link_does_not_run_on_is_refused() {
    let home = Home::new();
    home.init();
    assert_eq!(home.config(&["set", "board.kind", "black-pill"]).code, 0);
    let said = home.config(&["export"]);
    assert_eq!((said.code, said.out.as_str()), (3, ""), "{said:?}");
    assert!(
        said.err.contains("is a Black Pill") && said.err.contains("board.kind pyboard"),
        "{said:?}"
    );
    assert_eq!(home.names(), ["pblink.toml"]);
    // Its pins are in its program.
    let said = home.config(&["set", "board.pins", "Y9,Y10,X1,X2,X3"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.err.contains("is for a Pyboard") && said.err.contains("stays as it was"),
        "{said:?}"
    );
    // And the other way round.
    assert_eq!(home.config(&["set", "board.kind", "pyboard"]).code, 0);
    assert_eq!(home.config(&["set", "board.pins", "Y9,Y10,X1,X2,X3"]).code, 0);
    assert_eq!(home.config(&["set", "board.kind", "nucleo-f446"]).code, 3);
    assert_eq!(home.config(&["unset", "board.pins"]).code, 0);
    assert_eq!(home.config(&["set", "board.kind", "nucleo-f446"]).code, 0);
}

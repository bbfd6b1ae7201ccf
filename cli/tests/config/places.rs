//! Paths in files and variables, texts that an editor leaves behind, and the exit code where no file is.

use super::*;

#[test]
fn the_folder_of_a_log_in_a_variable_is_relative_to_the_current_folder() {
    let home = Home::new();
    fs::create_dir(home.path("conf")).unwrap();
    home.write("conf/pblink.toml", "[server]\ncontrol = \"off\"\nstate = \"log\"\n");
    let args = ["consumers", "list", "--config", "conf/pblink.toml"];
    let said = home.run(&args, &[], "");
    assert!(said.code != 0 && said.err.contains("there is no log in conf/log"), "{said:?}");
    let said = home.run(&args, &[("PBLINK_SERVER_STATE", "other")], "");
    assert!(said.code != 0 && said.err.contains("there is no log in other:"), "{said:?}");
}

#[test]
fn path_ends_with_3_in_each_form_if_there_is_no_file() {
    if std::path::Path::new("/etc/pblink/pblink.toml").exists() {
        return;
    }
    let home = Home::new();
    for form in [&[][..], &["--all"], &["--json"]] {
        let args = [&["config", "path"], form].concat();
        let said = home.run(&args, &[], "");
        assert_eq!(said.code, 3, "{args:?}: {said:?}");
        // All places are printed all the same, where they were asked for.
        assert_eq!(said.out.contains("/etc/pblink/pblink.toml"), !form.is_empty(), "{said:?}");
        assert!(said.err.contains("there is no configuration file"), "{said:?}");
        // A file that is named is printed, be it there or not.
        let said = home.run(&args, &[("PBLINK_CONFIG", "gone.toml")], "");
        assert!(said.code == 0 && said.out.contains("gone.toml"), "{args:?}: {said:?}");
    }
}

#[test]
fn edit_says_where_a_text_is_that_is_no_text_and_when_none_is_left() {
    let home = Home::new();
    home.init();
    let before = home.read("pblink.toml");
    let edit =
        |editor: &str| home.run(&["config", "edit"], &[("EDITOR", editor), ("VISUAL", "")], "");
    let copies = || Vec::from_iter(home.names().into_iter().filter(|name| name.contains(".edit-")));
    let said = edit("sh -c 'printf \"\\377\" >> \"$0\"'");
    let copy = copies().pop().expect("the copy is kept");
    assert_eq!((said.code, &*said.out), (3, ""), "{said:?}");
    assert!(
        said.err.contains("it must be UTF-8 text") && said.err.contains("stays as it was"),
        "{said:?}"
    );
    assert!(said.err.contains(&format!("what you wrote is in {copy}")), "{said:?}");
    assert_eq!(home.read("pblink.toml"), before);
    fs::remove_file(home.path(&copy)).unwrap();

    let said = edit("rm");
    assert_eq!((said.code, &*said.out), (3, ""), "{said:?}");
    assert!(said.err.contains("stays as it was") && !said.err.contains("config init"), "{said:?}");
    assert!(said.err.contains("the editor has left nothing in .pblink.edit-"), "{said:?}");

    // The file itself goes while it is edited.
    let said = edit("rm pblink.toml; sed -i s/8123/9000/");
    let copy = copies().pop().expect("the copy is kept");
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains(&format!("what you wrote is in {copy}")), "{said:?}");
    assert!(home.read(&copy).contains("9000"));
}

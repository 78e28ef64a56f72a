//! What a profile file may say, who may read it, and how it is changed.

use std::fs;

use super::permissions::Access;
use super::*;
use crate::field::{Field, FieldValue};

const SHARED: Access = Access {
    others_read: true,
    others_write: true,
};

fn parse(text: &str) -> Result<Profile, ProfileError> {
    Profile::parse(Path::new("conf/p.toml"), text, Access::owner_only())
}

#[test]
fn all_kinds_of_values() {
    let profile = parse(
        r#"
        [dev]
        host = "localhost"
        port = 19543
        timeout = 2.5
        retry = false
        max_channels = 2
        ca_pem_path = "ca.pem"
        ["with.dot"]
        addresses = ["a:1", "b:1"]
        port = "19530"
        inline = { }
        "#
        .replace("inline = { }", "")
        .as_str(),
    )
    .unwrap();
    assert_eq!(profile.aliases().collect::<Vec<_>>(), ["dev", "with.dot"]);
    insta::assert_debug_snapshot!(profile.params("dev").unwrap(), @r#"
    {
        "host": "localhost",
        "port": "19543",
        "ca_pem_path": "conf/ca.pem",
        "timeout": "2.5 s",
        "max_channels": "2",
        "retry": "false",
    }
    "#);
    assert!(
        parse("dev = { address = 'h:1' }")
            .unwrap()
            .params("dev")
            .is_some()
    );
}

#[test]
fn faults_are_told_with_their_line() {
    let told = |text: &str| parse(text).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "address = 'localhost:19530'",
            "dev = 3",
            "[dev]\n\nadress = 'localhost:19530'",
            "[dev]\ncolour = 'red'",
            "[dev.eu]\naddress = 'h:1'",
            "[dev]\npassword = 'hidden",
            "[dev]\npassword = 5",
            "[dev]\ntimeout = -1",
            "[dev]\nport = 1.5",
            "[dev]\nretry = 'yes'",
            "[dev]\nmax_channels = -1",
            "[dev]\n[dev]",
        ]
        .map(told)
        .join("\n")
    );
}

#[test]
fn a_secret_or_command_in_a_shared_file_is_refused() {
    let told = |text: &str| {
        Profile::parse(Path::new("p.toml"), text, SHARED)
            .map(drop)
            .map_err(|e| e.to_string())
    };
    insta::assert_snapshot!(
        [
            "[dev]\npassword = 'hidden'",
            "[dev]\ntoken = 'hidden'",
            "[dev]\nuri = 'http://u:hidden@h'",
            "[dev]\nuri = 'hidden@@'",
            "[dev]\ntoken_command = 'pass show milvus'",
        ]
        .map(|text| told(text).unwrap_err())
        .join("\n")
    );
    assert_eq!(
        told("[dev]\nuri = 'http://u@h'\ntoken_env = 'T'\npassword = ''"),
        Ok(())
    );
}

#[cfg(unix)]
#[test]
fn the_mode_of_the_file_decides() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    fs::write(&path, "[dev]\npassword = 'hidden'").unwrap();
    let read_with = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Profile::read(&path)
    };
    assert!(read_with(0o600).is_ok());
    let error = read_with(0o640).unwrap_err().to_string();
    assert!(
        error.contains("chmod 600") && !error.contains("hidden"),
        "{error}"
    );
}

#[test]
fn the_environment_names_the_file_or_its_folder() {
    let named = Environment::of([(MILVUS_CONNECTIONS_FILE, "/x/y.toml"), ("HOME", "/home/me")]);
    assert_eq!(locate(&named).unwrap().path, Path::new("/x/y.toml"));
    assert!(Profile::discover(&named).is_err());
    assert_eq!(locate(&Environment::empty()), None);
    assert!(Profile::discover(&Environment::empty()).unwrap().is_none());
    if cfg!(all(unix, not(target_os = "macos"))) {
        let home = Environment::of([("HOME", "/home/me")]);
        let found = locate(&home).unwrap();
        assert_eq!(
            found.path,
            Path::new("/home/me/.config/milvus-connections/connections.toml")
        );
        assert!(Profile::discover(&home).unwrap().is_none());
        let xdg = Environment::of([("HOME", "/home/me"), ("XDG_CONFIG_HOME", "/xdg")]);
        assert_eq!(
            locate(&xdg).unwrap().path,
            Path::new("/xdg/milvus-connections/connections.toml")
        );
    }
}

#[test]
fn a_new_alias_comes_after_the_comments_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    fs::write(&path, "# for all\n").unwrap();
    let mut profile = ProfileEditor::open(&path).unwrap();
    for alias in ["a", "b"] {
        profile.set(alias, &ConnectionParams::address("localhost:1"));
    }
    profile.save().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "# for all\n\n[a]\naddress = \"localhost:1\"\n\n[b]\naddress = \"localhost:1\"\n"
    );
}

#[test]
fn editing_keeps_comments_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("below/p.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(
        &path,
        "# ours\n[dev] # mine\n# where\naddress = 'h:1'  # local\ntimeout = 3\n\n[old]\nhost = 'o'\n",
    )
    .unwrap();
    let mut editor = ProfileEditor::open(&path).unwrap();
    editor.set("dev", &ConnectionParams::address("h:2").user("root"));
    editor.set(
        "new.one",
        &ConnectionParams::host("n").port(5).token_env("T"),
    );
    assert!(editor.remove("old"));
    assert!(!editor.remove("old"));
    assert_eq!(editor.nearest("deb"), Some("dev"));
    editor.save().unwrap();
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
    # ours
    [dev] # mine
    # where
    address = "h:2"  # local
    user = "root"

    ["new.one"]
    host = "n"
    port = 5
    token_env = "T"
    "#);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_saved_file_is_its_owners_alone_and_a_link_stays_a_link() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("real.toml");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let link = folder.path().join("link.toml");
    symlink(&path, &link).unwrap();
    let mut editor = ProfileEditor::open(&link).unwrap();
    editor.set(
        "dev",
        &ConnectionParams::address("h:1")
            .user("u")
            .password("hidden"),
    );
    editor.save().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(Profile::read(&link).unwrap().params("dev").is_some());
}

#[test]
fn a_change_made_meanwhile_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/p.toml");
    let mut first = ProfileEditor::open(&path).unwrap();
    let mut second = ProfileEditor::open(&path).unwrap();
    first.set("a", &ConnectionParams::address("a:1"));
    first.save().unwrap();
    second.set("b", &ConnectionParams::address("b:1"));
    let error = second.save().unwrap_err().to_string();
    assert!(error.contains("changed since it was read"), "{error}");
    assert!(fs::read_to_string(&path).unwrap().contains("a:1"));
    first.set("c", &ConnectionParams::address("c:1"));
    first.save().unwrap();
}

#[test]
fn what_is_set_reads_back() {
    let params = ConnectionParams::uri("http://u:p@h")
        .db_name("books")
        .secure(true)
        .timeout(std::time::Duration::from_millis(1500))
        .max_channels(3)
        .with(Field::Addresses, FieldValue::Texts(vec!["a:1".into()]));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    let mut editor = ProfileEditor::open(&path).unwrap();
    editor.set("dev", &params);
    editor.save().unwrap();
    let read = Profile::read(&path).unwrap();
    assert_eq!(
        format!("{:?}", read.params("dev").unwrap()),
        format!("{params:?}")
    );
}

//! What is refused, and how it is told.

use super::*;

fn refused(place: &Place, arguments: &[&str]) -> String {
    let done =
        done(place.martlet(&[&["serve", "--listen", "127.0.0.1:0", "--data", "data"], arguments].concat()));
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
    done.error().to_owned()
}

#[test]
fn nobody_is_served_beyond_this_machine_without_a_key() {
    let place = Place::new();
    let done = done(place.martlet(&["serve", "--listen", "0.0.0.0:0", "--data", "data"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    for advice in ["martlet keys create --user", "--auth keys", "127.0.0.1"] {
        assert!(done.error().contains(advice), "{advice}: {done:?}");
    }
    assert!(!place.path().join("data").exists(), "nothing was begun");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let (place, model) = (Place::new(), FakeServer::always("never asked"));
    let server = Server::starts(place.with(&model, &["serve"]));
    let error = refused(&place, &[]);
    assert!(error.contains(&format!("process {} has the store in data open", server.id())), "{error}");
    // The one that runs can still be asked.
    assert_eq!(on_data(&place, &["keys", "create", "--user", "ann"]).code, Some(0));
}

#[test]
fn a_store_that_cannot_be_used_stays_as_it_is() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("data")).unwrap();
    let path = place.write("data/martlet.db", "this is no database at all, but a text of somebody");
    let error = refused(&place, &[]);
    assert!(error.contains("data"), "{error}");
    assert_eq!(on_data(&place, &["runs", "list"]).code, Some(2));
    let doctor = on_data(&place, &["doctor", "--model", "http://127.0.0.1:1/v1#x"]);
    assert!(doctor.stdout.contains("BROKEN  store "), "{doctor:?}");
    assert!(std::fs::read_to_string(path).unwrap().starts_with("this is no database"));
}

#[test]
fn fault_27_a_store_of_a_newer_version_is_refused_with_advice() {
    let place = Place::new();
    assert_eq!(on_data(&place, &["keys", "create", "--user", "ann"]).code, Some(0));
    let path = place.path().join("data/martlet.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Where SQLite keeps the version that an application gives its tables.
    bytes[60..64].copy_from_slice(&1_000_u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = refused(&place, &[]);
    assert!(error.contains("version 1000") && error.contains("update Martlet"), "{error}");
    let list = on_data(&place, &["runs", "list"]);
    assert!(list.code == Some(2) && list.error().contains("update Martlet"), "{list:?}");
    assert_eq!(std::fs::read(path).unwrap(), bytes);
}

#[test]
fn the_doctor_finds_what_was_damaged() {
    let place = Place::new();
    assert_eq!(on_data(&place, &["keys", "create", "--user", "ann"]).code, Some(0));
    let doctor = |deep: &[&str]| {
        let arguments = [&["doctor", "--model", "http://127.0.0.1:1/v1#x"], deep].concat();
        on_data(&place, &arguments).stdout
    };
    assert!(doctor(&[]).contains("ok      store     data, version 2, 0."), "{}", doctor(&[]));
    assert!(doctor(&["--deep"]).contains("all of it is as it was written"), "{}", doctor(&["--deep"]));
    let path = place.path().join("data/martlet.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len();
    // The last page, in which some table or index begins.
    bytes[end - 4096..end - 4000].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();
    assert!(doctor(&["--deep"]).contains("BROKEN  store "), "{}", doctor(&["--deep"]));
}

#[test]
fn what_is_not_there_is_told_with_advice() {
    let place = Place::new();
    let none = on_data(&place, &["runs", "list"]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.error().contains("there is no store in data"), "{none:?}");
    assert_eq!(on_data(&place, &["keys", "create", "--user", "ann"]).code, Some(0));
    for (arguments, advice) in [
        (&["runs", "show", "run_x"][..], "martlet runs list"),
        (&["runs", "approve", "x"], "martlet runs list --state waiting"),
        (&["keys", "revoke", "zzz"], "martlet keys list"),
        (&["keys", "create", "--user", ""], "--user"),
    ] {
        let done = on_data(&place, arguments);
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.error().contains(advice), "{arguments:?}: {done:?}");
    }
    let unknown = on_data(&place, &["keys", "create", "--user", "a", "--scope", "everything"]);
    assert!(unknown.stderr.contains("run, read, approve or admin"), "{unknown:?}");
}

#[test]
fn a_server_that_does_not_answer_is_unreachable() {
    let (place, model) = (Place::new(), FakeServer::always("never asked"));
    let server = Server::starts(place.with(&model, &["serve"]));
    let notice = place.path().join("data/server.json");
    let text = std::fs::read_to_string(&notice).unwrap();
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["address"] = json!("127.0.0.1:1");
    place.write("data/server.json", &changed.to_string());
    assert_eq!(on_data(&place, &["keys", "create", "--user", "a"]).code, Some(69));
    changed = serde_json::from_str(&text).unwrap();
    changed["token"] = json!("guessed");
    place.write("data/server.json", &changed.to_string());
    assert_eq!(on_data(&place, &["keys", "create", "--user", "a"]).code, Some(2));
    std::fs::remove_file(notice).unwrap();
    assert_eq!(on_data(&place, &["keys", "create", "--user", "a"]).code, Some(69));
    let control = server.posts("/control/v1", None, &json!({"order": "cancel", "run": "run_x"}));
    assert_eq!(control.0, 401, "{control:?}");
    let bench = done(place.martlet(&["bench", "concurrency", "--url", "http://127.0.0.1:1"]));
    assert_eq!(bench.code, Some(69), "{bench:?}");
}

#[test]
fn the_port_of_another_program_is_not_taken() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = done(place.martlet(&["serve", "--listen", &address, "--data", "data"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.error().contains("another program listens there"), "{done:?}");
}

#[test]
fn settings_of_the_server_are_checked_with_their_lines() {
    let place = Place::new();
    for (text, expected) in [
        ("max_workers = 4\nmax_running = 4", "`max_running` is set under two of its names: leave one out"),
        ("max_size = 0", "`max_size` in [server] (martlet.toml:2): with 0 no run could ever start"),
        ("listen = \"nowhere\"", "`listen` in [server] (martlet.toml:2): this is no address to listen at"),
        ("auth = \"key\"", "`auth` in [server] (martlet.toml:2) cannot be `key`: did you mean `keys`?"),
        (
            "max_runing = 4",
            "unknown key `max_runing` in [server] (martlet.toml:2): did you mean `max_running`?",
        ),
        (
            "user_header = \"x-user\"",
            "`user_header` in [server] (martlet.toml:2): anybody could send this header",
        ),
        (
            "trusted_proxies = [\"10.0.0.1\"]",
            "`trusted_proxies` in [server] (martlet.toml:2): the proxies name users",
        ),
    ] {
        place.write("martlet.toml", &format!("[server]\n{text}\n"));
        let check = done(place.martlet(&["config", "check"]));
        assert_eq!(check.code, Some(2), "{text}: {check:?}");
        assert!(check.stderr.contains(expected), "{text}: {check:?}");
        let error = refused(&place, &[]);
        assert!(error.contains(expected), "{text}: {error}");
    }
    place.write(
        "martlet.toml",
        "model = \"local\"\n[server]\nmax_workers = 4\nmax_size = 20\nkeep = \"90d\"\n",
    );
    let mut check = place.martlet(&["config", "check"]);
    check.env("MARTLET_SERVER__MAX_QUEUED_PER_USER", "3");
    assert_eq!(done(check).code, Some(0));
    let mut unknown = place.martlet(&["config", "check"]);
    unknown.env("MARTLET_SERVER__WORKERS", "3");
    assert_eq!(done(unknown).code, Some(2));
}

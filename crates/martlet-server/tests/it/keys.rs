//! API keys.

use martlet_core::Principal;
use martlet_server::keys::{ApiKey, KeyRefusal, KeyRequest, Scope, Scopes, Secret};
use martlet_store::KeyRow;

fn issued(scopes: &[Scope], expires_ms: Option<u64>) -> (ApiKey, KeyRow) {
    let owner = Principal::new("acme", "ann").unwrap();
    let scopes = scopes.iter().copied().collect();
    ApiKey::issue(KeyRequest { owner, scopes, label: "laptop".into(), created_ms: 5, expires_ms }).unwrap()
}

#[test]
fn a_key_is_verified_by_what_the_store_has() {
    let (key, row) = issued(&[Scope::Run, Scope::Read], Some(100));
    let text = key.text();
    assert!(text.expose().starts_with("mrt_") && text.expose().len() == 4 + 12 + 1 + 52);
    let shown = ApiKey::parse(text.expose()).unwrap();
    assert_eq!(shown.id(), &row.id);
    assert_eq!((row.created_ms, row.label.as_str()), (5, "laptop"));
    assert_eq!(row.scopes, ["run", "read"]);

    let grant = shown.verify(Some(&row), 99).unwrap();
    assert_eq!((&grant.owner, &grant.key), (&row.owner, &row.id));
    assert!(grant.scopes.allow(Scope::Run) && !grant.scopes.allow(Scope::Approve));

    assert_eq!(shown.verify(Some(&row), 100), Err(KeyRefusal::Expired));
    assert_eq!(shown.verify(None, 0), Err(KeyRefusal::Unknown));
    let revoked = KeyRow { revoked_ms: Some(1), ..row.clone() };
    assert_eq!(shown.verify(Some(&revoked), 0), Err(KeyRefusal::Revoked));
    let (other, other_row) = issued(&[], None);
    assert_eq!(shown.verify(Some(&other_row), 0), Err(KeyRefusal::Unknown));
    let forged = text.expose().replace(row.id.as_str(), other_row.id.as_str());
    assert_eq!(ApiKey::parse(&forged).unwrap().verify(Some(&other_row), 0), Err(KeyRefusal::WrongSecret));
    assert!(other.verify(Some(&other_row), u64::MAX).is_ok());
    // The row of nobody, whose digest is all zeros, is no key either.
    assert_eq!(other.verify(Some(&KeyRow { digest: [0; 32], ..other_row }), 0), Err(KeyRefusal::WrongSecret));
}

#[test]
fn no_two_keys_are_alike() {
    let texts: std::collections::HashSet<_> =
        (0..1_000).map(|_| issued(&[], None).0.text().expose().to_owned()).collect();
    assert_eq!(texts.len(), 1_000);
}

#[test]
fn nothing_prints_a_secret() {
    let (key, row) = issued(&[Scope::Admin], None);
    let text = key.text();
    let secret = &text.expose()[17..];
    for printed in
        [format!("{key:?}"), format!("{text:?}"), format!("{row:?}"), format!("{:?}", Secret::new(secret))]
    {
        assert!(!printed.contains(&secret[..8]), "{printed}");
    }
    let error = ApiKey::parse(&format!("{}x", text.expose())).unwrap_err();
    assert!(!error.to_string().contains(&secret[..8]));
}

#[test]
fn what_is_no_key_is_refused() {
    let (key, _) = issued(&[], None);
    let good = key.text().expose().to_owned();
    let upper = good.to_uppercase();
    let (no_prefix, short) = (&good[4..], &good[..good.len() - 1]);
    for text in [
        "",
        "mrt_",
        "mrt__",
        "sk-123",
        "mrt_0123456789ab",
        upper.as_str(),
        no_prefix,
        short,
        "mrt_ü_ü",
        &" ".repeat(69),
    ] {
        assert!(ApiKey::parse(text).is_err(), "{text:?}");
    }
    for text in [format!(" {good}"), format!("{good}\n"), good.replace("mrt_", "MRT_"), good.repeat(20_000)] {
        assert!(ApiKey::parse(&text).is_err());
    }
}

#[test]
fn admin_may_do_everything_and_unknown_scopes_nothing() {
    let admin = Scopes::from_iter([Scope::Admin]);
    assert!(Scope::ALL.into_iter().all(|scope| admin.allow(scope)));
    let approver = Scopes::from_names(["approve", "fly", ""]);
    assert_eq!(Scope::ALL.map(|scope| approver.allow(scope)), [false, false, true, false]);
    assert_eq!(Scopes::from_names(Scopes::all().names().iter().map(String::as_str)), Scopes::all());
    assert!(!Scopes::default().allow(Scope::Read));
    assert_eq!("read".parse(), Ok(Scope::Read));
    assert!("Read".parse::<Scope>().unwrap_err().to_string().contains("run, read, approve or admin"));
}

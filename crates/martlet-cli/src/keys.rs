//! `martlet keys`: the API keys of a server.

use martlet::core::Principal;
use martlet::store::{KeyRow, Store};
use martlet_server::keys::Scope;
use serde::Serialize;

use crate::args::KeysCommand;
use crate::data::{self, now_ms};
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::runs::{Table, ago, at, change};
use crate::serve::{Done, Order};
use crate::style::escaped;

pub(crate) async fn keys(command: KeysCommand) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Create { user, tenant, scopes, label, expires, output, data } => {
            // Told in the words of the flags, before anything is opened.
            Principal::new(&tenant, &user)
                .map_err(|error| Failure::usage(format!("--user and --tenant: {error}")))?;
            let scopes = if scopes.is_empty() { vec![Scope::Run, Scope::Read] } else { scopes };
            let expires_ms = expires
                .map(|time| now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
            let order = Order::CreateKey { tenant, user, scopes, label, expires_ms };
            match change(&data::folder_of(&data)?, order).await?.0 {
                Done::KeyCreated { id, key } if output.json => {
                    Sink::Stdout.line(&serde_json::json!({"id": id, "key": key}).to_string())?;
                }
                Done::KeyCreated { key, .. } => {
                    Sink::Stdout.line(&key)?;
                    crate::exit::say("keep this key: it is shown this once, and nothing can bring it back");
                }
                other => return Err(unexpected(&other)),
            }
        }
        KeysCommand::List { output, data } => {
            let keys = data::open_to_read(&data::folder_of(&data)?)?.keys().await?;
            list(&keys, output.json)?;
        }
        KeysCommand::Revoke { id, output, data } => {
            let folder = data::folder_of(&data)?;
            let key = find(&data::open_to_read(&folder)?, &id).await?;
            let id = key.id.clone();
            match change(&folder, Order::RevokeKey { id: key.id }).await?.0 {
                Done::KeyRevoked { now: false } => {
                    return Err(Failure::usage(format!("key {id} was revoked before")));
                }
                Done::KeyRevoked { .. } if output.json => {
                    Sink::Stdout.line(&serde_json::json!({"id": id, "revoked": true}).to_string())?;
                }
                Done::KeyRevoked { .. } => crate::exit::say(&format!("key {id} is revoked")),
                other => return Err(unexpected(&other)),
            }
        }
    }
    Ok(Exit::Success)
}

fn unexpected(done: &Done) -> Failure {
    Failure::host("the server did something else", anyhow::anyhow!("{done:?}"))
}

/// The one key whose id begins so. The whole key is taken, too, though nobody should have to type it.
async fn find(store: &Store, given: &str) -> Result<KeyRow, Failure> {
    let given = given.strip_prefix("mrt_").unwrap_or(given);
    let prefix = given.split('_').next().unwrap_or_default();
    let keys = store.keys().await?;
    let mut found = keys.into_iter().filter(|key| !prefix.is_empty() && key.id.as_str().starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => {
            Err(Failure::usage("several keys begin like this: write more of the id (`martlet keys list`)"))
        }
        (None, _) => Err(Failure::usage("there is no such key: `martlet keys list` shows them")),
    }
}

/// A key as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    tenant: &'a str,
    user: &'a str,
    scopes: &'a [String],
    label: &'a str,
    state: &'static str,
    created_ms: u64,
    expires_ms: Option<u64>,
    last_used_ms: Option<u64>,
    revoked_ms: Option<u64>,
}

fn list(keys: &[KeyRow], json: bool) -> Result<(), Failure> {
    let now = now_ms();
    let state = |key: &KeyRow| match (key.revoked_ms, key.expires_ms) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now => "expired",
        _ => "valid",
    };
    if json {
        let listed: Vec<Listed<'_>> = keys
            .iter()
            .map(|key| Listed {
                id: key.id.as_str(),
                tenant: &key.owner.tenant,
                user: &key.owner.user,
                scopes: &key.scopes,
                label: &key.label,
                state: state(key),
                created_ms: key.created_ms,
                expires_ms: key.expires_ms,
                last_used_ms: key.last_used_ms,
                revoked_ms: key.revoked_ms,
            })
            .collect();
        return crate::runs::write_json(&listed);
    }
    let mut table = Table::new(["ID", "STATE", "OWNER", "SCOPES", "CREATED", "EXPIRES", "USED", "LABEL"]);
    for key in keys {
        table.row([
            key.id.to_string(),
            state(key).into(),
            escaped(&key.owner.to_string()),
            escaped(&key.scopes.join(",")),
            ago(key.created_ms, now),
            key.expires_ms.map_or_else(|| "never".into(), at),
            key.last_used_ms.map_or_else(|| "never".into(), |used| ago(used, now)),
            escaped(&key.label),
        ]);
    }
    table.write()
}

//! The guarded client and the tools that use it, against servers on this machine.

mod client;
mod server;
mod tools;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;

use futures::future::BoxFuture;
use martlet_tools::web::Lookup;

pub(crate) use server::{Asked, Reply, Server};

/// Knows the addresses of some names, one answer after the other; the last one stays.
#[derive(Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub(crate) asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn of(names: &[(&str, &[&[&str]])]) -> Self {
        let answers = names.iter().map(|(name, answers)| {
            let answers = answers.iter().map(|all| all.iter().map(|one| one.parse().unwrap()).collect());
            ((*name).to_owned(), answers.collect())
        });
        Self { answers: Mutex::new(answers.collect()), asked: Mutex::default() }
    }
}

impl Lookup for Names {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(name.to_owned());
            let mut answers = self.answers.lock().unwrap();
            let Some(known) = answers.get_mut(name) else { return Err(io::Error::other("no such name")) };
            Ok(if known.len() > 1 { known.remove(0) } else { known[0].clone() })
        })
    }
}

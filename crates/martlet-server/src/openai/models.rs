//! `/v1/models`: agents, workflows and plain models under the ids by which clients choose them.

use axum::Json;
use axum::extract::State;
use martlet::SharedModel;
use serde::Serialize;
use utoipa::ToSchema;

use super::fault::Fault;
use crate::auth::Reader;
use crate::catalog::{Catalog, OfferedAgent};
use crate::clock;
use crate::problem::Path;
use crate::router::Api;

/// What a model id means.
#[derive(Clone)]
pub(super) enum Chosen {
    Agent(String),
    Workflow(String),
    Model { name: String, model: SharedModel },
}

impl Chosen {
    /// The id in full.
    pub(super) fn id(&self) -> String {
        match self {
            Self::Agent(name) => format!("agent:{name}"),
            Self::Workflow(name) => format!("workflow:{name}"),
            Self::Model { name, .. } => format!("llm:{name}"),
        }
    }

    /// The agent, if it is one.
    pub(super) fn agent<'a>(&self, catalog: &'a Catalog) -> Option<&'a OfferedAgent> {
        match self {
            Self::Agent(name) => catalog.agents().get(name),
            _ => None,
        }
    }
}

/// What a client may add to a model id behind a `+`, or say in the header `X-Martlet-Options`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wishes {
    /// Thoughts stand between `<think>` and `</think>` in the content.
    pub(super) think_tags: bool,
    /// What needs a person waits for one.
    pub(super) hold: bool,
}

impl Wishes {
    /// Takes a word; nothing if it is not known.
    fn with(mut self, word: &str) -> Option<Self> {
        match word {
            "think_tags" => self.think_tags = true,
            "hold" => self.hold = true,
            "deny" => self.hold = false,
            _ => return None,
        }
        Some(self)
    }

    /// What the header says, and then the words behind the model id.
    pub(super) fn read(header: Option<&str>, words: &str) -> Result<Self, Fault> {
        let header = header.unwrap_or_default().split(',').map(|word| ("X-Martlet-Options", word));
        let of_model = words.split('+').map(|word| ("model", word));
        let mut wishes = Self::default();
        for (param, word) in header.chain(of_model).map(|(param, word)| (param, word.trim())) {
            if word.is_empty() {
                continue;
            }
            wishes = wishes.with(word).ok_or_else(|| {
                let word: String = word.chars().take(40).collect();
                let text = format!("`{word}` is no option: there are `think_tags`, `hold` and `deny`");
                Fault::invalid(param, "unknown_option", text)
            })?;
        }
        Ok(wishes)
    }
}

/// What an id means, and the words behind it.
pub(super) fn choose<'a>(catalog: &Catalog, id: &'a str) -> Result<(Chosen, &'a str), Fault> {
    if let Some(chosen) = find(catalog, id) {
        return Ok((chosen, ""));
    }
    let places = id.match_indices('+').map(|(place, _)| place);
    for place in places {
        let (name, words) = id.split_at(place);
        if let Some(chosen) = find(catalog, name) {
            return Ok((chosen, words));
        }
    }
    let id: String = id.chars().take(80).collect();
    let known = list(catalog).into_iter().take(20).collect::<Vec<_>>().join(", ");
    Err(Fault::no_model(format!("there is no model `{id}`; there are: {known}")))
}

fn find(catalog: &Catalog, id: &str) -> Option<Chosen> {
    let agent = |name: &str| catalog.agents().contains_key(name).then(|| Chosen::Agent(name.to_owned()));
    let workflow =
        |name: &str| catalog.workflows().contains_key(name).then(|| Chosen::Workflow(name.to_owned()));
    let model = |name: &str| {
        let model = catalog.models().get(name)?.clone();
        Some(Chosen::Model { name: name.to_owned(), model })
    };
    match id.split_once(':') {
        Some(("agent", name)) if let Some(found) = agent(name) => Some(found),
        Some(("workflow", name)) if let Some(found) = workflow(name) => Some(found),
        Some(("llm", name)) if let Some(found) = model(name) => Some(found),
        _ => agent(id).or_else(|| workflow(id)).or_else(|| model(id)),
    }
}

/// All ids, the default agent's first: many clients take the first one.
fn list(catalog: &Catalog) -> Vec<String> {
    let default = catalog.default_agent_name().filter(|name| catalog.agents().contains_key(*name));
    let others = catalog.agents().keys().map(String::as_str).filter(|name| Some(*name) != default);
    let agents = default.into_iter().chain(others).map(|name| format!("agent:{name}"));
    let workflows = catalog.workflows().keys().map(|name| format!("workflow:{name}"));
    let models = catalog.models().keys().map(|name| format!("llm:{name}"));
    agents.chain(workflows).chain(models).collect()
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// Its id.
    #[schema(example = "agent:coder")]
    id: String,
    /// `model`.
    object: &'static str,
    /// When this server came to offer it, in seconds since 1970-01-01 UTC.
    created: u64,
    /// `martlet`.
    owned_by: &'static str,
}

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Models {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<ModelView>,
}

impl ModelView {
    fn new(api: &Api, id: String) -> Self {
        Self { id, object: "model", created: api.began_ms() / 1000, owned_by: "martlet" }
    }
}

/// Lists what can be named as `model`: agents, workflows and plain models.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, body = Models)))]
pub(crate) async fn list_models(Reader(_caller): Reader, State(api): State<Api>) -> Json<Models> {
    let ids = list(api.service().catalog()).into_iter();
    Json(Models { object: "list", data: ids.map(|id| ModelView::new(&api, id)).collect() })
}

/// Shows a model.
#[utoipa::path(
    get, path = "/v1/models/{id}", tag = "openai", params(("id" = String, Path)),
    responses((status = 200, body = ModelView), (status = 404, description = "There is no such model.")),
)]
pub(crate) async fn get_model(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<ModelView>, Fault> {
    let (chosen, words) = choose(api.service().catalog(), &id)?;
    Wishes::read(None, words)?;
    Ok(Json(ModelView::new(&api, chosen.id())))
}

/// Now, in seconds since 1970-01-01 UTC.
pub(super) fn now_s() -> u64 {
    clock::now_ms() / 1000
}

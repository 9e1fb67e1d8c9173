//! From values to settings, by serde; an error knows the line that it is about.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer as _, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::{Problem, instead};
use crate::origin::Origin;
use crate::tree::{Entry, Kind, Node};

/// Reads `node`, which stands at `path`.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node, path: &[&str]) -> Result<T, Problem> {
    T::deserialize(Reader(node)).map_err(|error| {
        let mut keys: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        keys.extend(error.path.iter().rev().cloned());
        error.explained(&keys, &node.origin)
    })
}

/// The keys of a table that is read as `T`.
pub(crate) fn keys_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Ask<'a>(&'a mut &'static [&'static str]);
    impl<'de> de::Deserializer<'de> for Ask<'_> {
        type Error = de::value::Error;
        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(de::Error::custom("only the keys are asked for"))
        }
        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            *self.0 = fields;
            Err(de::Error::custom("only the keys are asked for"))
        }
        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let mut keys: &'static [&'static str] = &[];
    let _ = T::deserialize(Ask(&mut keys));
    keys
}

/// A mistake on its way up, before it is known in which table it is.
#[derive(Debug)]
pub(crate) struct Mistake {
    what: What,
    origin: Option<Origin>,
    /// The keys on the way, the innermost first.
    path: Vec<String>,
}

#[derive(Debug)]
enum What {
    UnknownKey { key: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    UnknownWord { word: String, known: &'static [&'static str] },
    Other(String),
}

impl Mistake {
    fn new(what: What) -> Self {
        Self { what, origin: None, path: Vec::new() }
    }

    fn at(mut self, origin: &Origin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    fn within(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }

    fn explained(self, path: &[String], origin: &Origin) -> Problem {
        let origin = self.origin.unwrap_or_else(|| origin.clone());
        let message = match self.what {
            What::UnknownKey { key, known } => {
                let known = known.iter().copied();
                format!("unknown key `{key}` in {} ({origin}): {}", table(path), instead(&key, known))
            }
            What::MissingKey(key) => format!("{} ({origin}) has no `{key}`: add it", table(path)),
            What::UnknownWord { word, known } => {
                let known = known.iter().copied();
                format!("{} ({origin}) cannot be `{word}`: {}", place(path), instead(&word, known))
            }
            What::Other(text) => format!("{} ({origin}): {text}", place(path)),
        };
        Problem::new(message).at(origin)
    }
}

/// `[agents.writer]`, for the path of a table.
pub(crate) fn table(path: &[impl AsRef<str>]) -> String {
    let keys: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    if keys.is_empty() { "the file".into() } else { format!("[{}]", keys.join(".")) }
}

/// `max_steps in [agents.writer]`, for the path of a value.
pub(crate) fn place(path: &[impl AsRef<str>]) -> String {
    match path.split_last() {
        Some((key, [])) => format!("`{}`", key.as_ref()),
        Some((key, tables)) => format!("`{}` in {}", key.as_ref(), table(tables)),
        None => "the file".into(),
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Mistake {}

impl de::Error for Mistake {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::new(What::Other(text.to_string()))
    }

    // What was found is told by its kind alone: it may be a key that stands in the wrong place.
    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Bool(_) => "true or false",
            de::Unexpected::Unsigned(_) | de::Unexpected::Signed(_) => "a whole number",
            de::Unexpected::Float(_) => "a number with a point",
            de::Unexpected::Str(_) | de::Unexpected::Char(_) => "a text",
            de::Unexpected::Seq => "a list",
            de::Unexpected::Map => "a table",
            _ => "something else",
        };
        Self::new(What::Other(format!("this is {found}, and it should be {}", expected_words(expected))))
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Unsigned(number) => number.to_string(),
            de::Unexpected::Signed(number) => number.to_string(),
            de::Unexpected::Float(number) => number.to_string(),
            _ => "this".into(),
        };
        Self::new(What::Other(format!("{found} cannot be: it should be {}", expected_words(expected))))
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownKey { key: key.to_owned(), known })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(What::UnknownWord { word: word.to_owned(), known })
    }

    fn duplicate_field(key: &'static str) -> Self {
        // Within a table a name stands once; so it was set under two of its names.
        Self::new(What::Other(format!("`{key}` is set under two of its names: leave one out")))
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(What::MissingKey(key))
    }
}

/// What serde calls a type, in words.
fn expected_words(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a string" => "a text in quotation marks".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        _ if text == "a map" || text.starts_with("struct ") => "a table".into(),
        _ if text.starts_with("enum ") => "one of its words".into(),
        _ => text,
    }
}

/// Reads a value.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

impl<'a> Reader<'a> {
    fn text(self) -> Option<&'a str> {
        match &self.0.kind {
            Kind::Text(text) | Kind::Variable { text, .. } => Some(text),
            _ => None,
        }
    }

    /// What a variable reads as, for those who want something other than a text.
    fn read(self) -> Self {
        match &self.0.kind {
            Kind::Variable { read: Some(read), .. } => Self(read),
            _ => self,
        }
    }

    fn located<T>(self, result: Result<T, Mistake>) -> Result<T, Mistake> {
        result.map_err(|mistake| mistake.at(&self.0.origin))
    }
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let reader = self.read();
        reader.located(match &reader.0.kind {
            Kind::Table(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
            Kind::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Kind::Text(text) | Kind::Variable { text, .. } => visitor.visit_str(text),
            Kind::Integer(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Kind::Float(number) => visitor.visit_f64(*number),
            Kind::Bool(value) => visitor.visit_bool(*value),
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match self.text() {
            Some(text) => self.located(visitor.visit_str(text)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.read().0.kind {
            // A variable may list names as a shell would: a,b.
            Kind::Variable { text, .. } => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                self.located(visitor.visit_seq(de::value::SeqDeserializer::<_, Mistake>::new(words)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let reader = self.read();
        if let Some(text) = reader.text() {
            return reader.located(visitor.visit_enum(text.into_deserializer()));
        }
        let only =
            reader.0.entries().filter(|entries| entries.len() == 1).and_then(|entries| entries.first());
        match only {
            Some((key, entry)) => reader.located(visitor.visit_enum(Variant { key, entry })),
            None => {
                let words = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                reader.located(Err(de::Error::custom(format!("it should be one of {words}"))))
            }
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map
        struct identifier ignored_any
    }
}

struct Entries<'a> {
    entries: indexmap::map::Iter<'a, String, Entry>,
    value: Option<(&'a str, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mistake> {
        let Some((key, entry)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, &entry.value));
        let reader: StrDeserializer<'_, Mistake> = key.as_str().into_deserializer();
        seed.deserialize(reader).map(Some).map_err(|mistake| mistake.at(&entry.origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Mistake> {
        let (key, value) = self.value.take().ok_or_else(|| de::Error::custom("a value without a key"))?;
        seed.deserialize(Reader(value)).map_err(|mistake| mistake.at(&value.origin).within(key))
    }
}

struct Items<'a>(std::iter::Enumerate<std::slice::Iter<'a, Node>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Mistake;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Mistake> {
        let Some((_, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(item)).map(Some).map_err(|mistake| mistake.at(&item.origin))
    }
}

/// A word with a value of its own: `{ n_of = 2 }`.
struct Variant<'a> {
    key: &'a str,
    entry: &'a Entry,
}

impl<'de, 'a> de::EnumAccess<'de> for Variant<'a> {
    type Error = Mistake;
    type Variant = Content<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'a>), Mistake> {
        let reader: StrDeserializer<'_, Mistake> = self.key.into_deserializer();
        let word = seed.deserialize(reader).map_err(|mistake| mistake.at(&self.entry.origin))?;
        Ok((word, Content(&self.entry.value)))
    }
}

struct Content<'a>(&'a Node);

impl<'de> de::VariantAccess<'de> for Content<'_> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        Err(Mistake::new(What::Other("this word stands alone, without a value".into())).at(&self.0.origin))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Mistake> {
        seed.deserialize(Reader(self.0)).map_err(|mistake| mistake.at(&self.0.origin))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        de::Deserializer::deserialize_seq(Reader(self.0), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        de::Deserializer::deserialize_any(Reader(self.0), visitor)
    }
}

//! The parameters of a function that becomes a tool.

use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Expr, FnArg, Ident, Meta, Pat, Type};

use crate::docs;

/// A parameter, and where its value comes from.
pub(crate) enum Parameter {
    /// The context of the call.
    Context,
    /// The model.
    Argument(Box<Argument>),
}

pub(crate) struct Argument {
    /// The name for the model.
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) ty: Type,
    pub(crate) presence: Presence,
}

pub(crate) enum Presence {
    Required,
    Optional,
    Default(Expr),
}

impl Parameter {
    /// Reads a parameter, and takes out what only the macro understands: doc comments and defaults.
    pub(crate) fn take(input: &mut FnArg) -> syn::Result<Self> {
        let typed = match input {
            FnArg::Receiver(receiver) => {
                return Err(syn::Error::new(
                    receiver.span(),
                    "a tool is a free function and takes no `self`; to hold state, make it from a closure with `tool_fn`",
                ));
            }
            FnArg::Typed(typed) => typed,
        };
        let ident = match &*typed.pat {
            Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
                pattern.ident.clone()
            }
            pattern => {
                return Err(syn::Error::new(
                    pattern.span(),
                    "the model has to know this argument by a name: write `name: Type`",
                ));
            }
        };
        let default = take_default(&mut typed.attrs)?;
        let description = docs::text(&typed.attrs);
        typed.attrs.retain(|attribute| !attribute.path().is_ident("doc"));
        if is_context(&typed.ty)? {
            return match default {
                Some(default) => Err(syn::Error::new(default.span(), "the context has no default")),
                None => Ok(Self::Context),
            };
        }
        let presence = match (default, is_option(&typed.ty)) {
            (Some(default), true) => {
                return Err(syn::Error::new(
                    default.span(),
                    "an `Option` is `None` when it is left out; drop either the `Option` or the default",
                ));
            }
            (Some(default), false) => Presence::Default(default),
            (None, true) => Presence::Optional,
            (None, false) => Presence::Required,
        };
        let name = name(&ident)?;
        Ok(Self::Argument(Box::new(Argument { name, description, ty: (*typed.ty).clone(), presence })))
    }
}

fn name(ident: &Ident) -> syn::Result<String> {
    let name = ident.unraw().to_string();
    // A leading `_` says "unused" in Rust, and nothing to the model.
    let name = name.trim_start_matches('_');
    if name.is_empty() || !name.is_ascii() {
        return Err(syn::Error::new(ident.span(), "the name of an argument has letters, digits and `_`"));
    }
    Ok(name.to_owned())
}

fn take_default(attributes: &mut Vec<Attribute>) -> syn::Result<Option<Expr>> {
    let Some(place) = attributes.iter().position(|attribute| attribute.path().is_ident("default")) else {
        return Ok(None);
    };
    let attribute = attributes.remove(place);
    if let Some(second) = attributes.iter().find(|attribute| attribute.path().is_ident("default")) {
        return Err(syn::Error::new(second.span(), "an argument has one default"));
    }
    match attribute.meta {
        Meta::NameValue(pair) => Ok(Some(pair.value)),
        meta => Err(syn::Error::new(meta.span(), "write the default as `#[default = value]`")),
    }
}

/// Whether the type is `&ToolContext`. It is told by its name, as a macro sees no types.
fn is_context(ty: &Type) -> syn::Result<bool> {
    match ty {
        Type::Reference(reference) if named(&reference.elem, "ToolContext") => match reference.mutability {
            Some(mutability) => {
                Err(syn::Error::new(mutability.span(), "the context is shared: take `&ToolContext`"))
            }
            None => Ok(true),
        },
        Type::Reference(reference) => Err(syn::Error::new(
            reference.span(),
            "an argument is made from JSON and has to own its data: take `String` for `&str`, `Vec<T>` for `&[T]`, \
             and `T` for `&T`; only `&ToolContext` is a reference",
        )),
        Type::ImplTrait(generic) => Err(syn::Error::new(
            generic.span(),
            "the schema has to be known: name one type instead of `impl Trait`",
        )),
        ty if named(ty, "ToolContext") => {
            Err(syn::Error::new(ty.span(), "the context is borrowed: take `&ToolContext`"))
        }
        _ => Ok(false),
    }
}

fn is_option(ty: &Type) -> bool {
    named(ty, "Option")
}

/// Whether the last word of the type's path is `name`.
pub(crate) fn named(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| segment.ident == name),
        Type::Paren(inner) => named(&inner.elem, name),
        Type::Group(inner) => named(&inner.elem, name),
        _ => false,
    }
}

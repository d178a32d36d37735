//! JSON schemas: checks a value against the keywords that `schemars` writes.

use std::fmt;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The schema of a type, without the parts that only say which dialect it is.
pub fn of<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
    }
    schema
}

/// A value that shows the form a schema asks for: `{"name": "...", "born": 0}`. Small models follow a form where they would
/// only repeat a schema.
pub fn form(schema: &Value) -> Value {
    form_at(schema, schema, 0)
}

fn form_at(root: &Value, schema: &Value, depth: usize) -> Value {
    let text = || Value::from("...");
    let Some(object) = schema.as_object().filter(|_| depth < 12) else { return text() };
    let inner = |schema: &Value| form_at(root, schema, depth + 1);
    if let Some(value) = object.get("const") {
        return value.clone();
    }
    if let Some(value) = object.get("enum").and_then(|e| e.get(0)) {
        return value.clone();
    }
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        return target.strip_prefix('#').and_then(|p| root.pointer(p)).map_or_else(text, inner);
    }
    let forms = ["anyOf", "oneOf", "allOf"].iter().find_map(|key| object.get(*key).and_then(Value::as_array));
    if let Some(first) = forms.and_then(|forms| forms.iter().find(|f| f.get("type") != Some(&"null".into()))) {
        return inner(first);
    }
    let kind = match object.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|k| *k != "null"),
        kind => kind.and_then(Value::as_str),
    };
    match kind {
        Some("object") => {
            let fields = object.get("properties").and_then(Value::as_object);
            let fields = fields.into_iter().flatten().map(|(key, schema)| (key.clone(), inner(schema)));
            Value::Object(fields.collect())
        }
        Some("array") => match object.get("prefixItems").and_then(Value::as_array) {
            Some(items) => items.iter().map(inner).collect(),
            None => object.get("items").into_iter().map(inner).collect(),
        },
        Some("integer") => object.get("minimum").filter(|m| m.as_i64() > Some(0)).cloned().unwrap_or(0.into()),
        Some("number") => 0.0.into(),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        _ => text(),
    }
}

/// Where a value does not fit its schema, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// JSON pointer: `/items/2/price`; empty for the value itself.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the value {}", self.message),
            path => write!(f, "{path} {}", self.message),
        }
    }
}

/// Steps into a schema that are followed; deeper ones, and references in a circle, count as violations.
const DEPTH: usize = 200;
/// Violations that are reported.
const MOST: usize = 20;

/// Everything in `value` that does not fit `schema`. Knows `type`, `enum`, `const`, `properties`, `required`,
/// `additionalProperties`, `patternProperties` of whole numbers, `items`, `prefixItems`, `anyOf`, `oneOf`, `allOf`,
/// `not`, `$ref` into the same document, and the bounds of numbers, texts, lists and objects. Other keywords are ignored.
///
/// ```
/// use ingle::schema;
/// use serde_json::json;
///
/// let wanted = json!({"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]});
/// assert!(schema::validate(&wanted, &json!({"age": 36})).is_empty());
/// assert_eq!(schema::validate(&wanted, &json!({"age": "old"}))[0].to_string(), "/age is a string, not an integer");
/// ```
pub fn validate(schema: &Value, value: &Value) -> Vec<Violation> {
    let mut check = Check { root: schema, found: Vec::new() };
    check.value(schema, value, "", 0);
    check.found
}

struct Check<'a> {
    root: &'a Value,
    found: Vec<Violation>,
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if is_integer(n) => "an integer",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_integer(n: &serde_json::Number) -> bool {
    n.is_i64() || n.is_u64() || n.as_f64().is_some_and(|f| f.fract() == 0.0)
}

fn named(kind: &str) -> String {
    match kind {
        "null" => "null".into(),
        "integer" | "array" | "object" => format!("an {kind}"),
        _ => format!("a {kind}"),
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_number().is_some_and(is_integer),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

/// A value as it is shown in a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).collect::<String>() + "..." }
}

/// A key as a part of a JSON pointer.
fn step(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

impl Check<'_> {
    fn fail(&mut self, path: &str, message: impl Into<String>) {
        if self.found.len() < MOST {
            self.found.push(Violation { path: path.into(), message: message.into() });
        }
    }

    /// Whether a value fits, without reporting.
    fn fits(&self, schema: &Value, value: &Value, depth: usize) -> bool {
        let mut check = Check { root: self.root, found: Vec::new() };
        check.value(schema, value, "", depth);
        check.found.is_empty()
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str, depth: usize) {
        if depth > DEPTH {
            return self.fail(path, "is nested too deep");
        }
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return self.fail(path, "is not allowed"),
            Value::Object(schema) => schema,
            _ => return,
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            match reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => self.value(target, value, path, depth + 1),
                None => self.fail(path, format!("has the schema {reference}, which is not there")),
            }
        }
        if !self.kind(schema, value, path) {
            return;
        }
        self.choices(schema, value, path, depth);
        match value {
            Value::Number(n) => self.number(schema, n.as_f64().unwrap_or(0.0), path),
            Value::String(s) => self.count(schema, s.chars().count(), ["minLength", "maxLength"], "characters", path),
            Value::Array(items) => self.array(schema, items, path, depth),
            Value::Object(fields) => self.object(schema, fields, path, depth),
            _ => {}
        }
    }

    fn kind(&mut self, schema: &Map<String, Value>, value: &Value, path: &str) -> bool {
        let kinds: Vec<&str> = match schema.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = kinds.iter().any(|k| is(value, k));
        if !fits {
            let wanted: Vec<String> = kinds.iter().map(|k| named(k)).collect();
            self.fail(path, format!("is {}, not {}", kind(value), wanted.join(" or ")));
        }
        fits
    }

    fn choices(&mut self, schema: &Map<String, Value>, value: &Value, path: &str, depth: usize) {
        if let Some(Value::Array(allowed)) = schema.get("enum")
            && !allowed.contains(value)
        {
            let list: Vec<String> = allowed.iter().map(short).collect();
            self.fail(path, format!("is {}, not one of {}", short(value), list.join(", ")));
        }
        if let Some(wanted) = schema.get("const")
            && wanted != value
        {
            self.fail(path, format!("is {}, not {}", short(value), short(wanted)));
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            all.iter().for_each(|s| self.value(s, value, path, depth + 1));
        }
        if let Some(unwanted) = schema.get("not")
            && self.fits(unwanted, value, depth + 1)
        {
            self.fail(path, "is what it must not be");
        }
        for (key, one) in [("anyOf", false), ("oneOf", true)] {
            let Some(Value::Array(forms)) = schema.get(key) else { continue };
            let fitting = forms.iter().filter(|s| self.fits(s, value, depth + 1)).count();
            if fitting == 0 {
                self.no_form(forms, value, path, depth);
            } else if one && fitting > 1 {
                self.fail(path, format!("fits {fitting} of the forms it may have, not one"));
            }
        }
    }

    /// The violations of the form that the value is nearest to.
    fn no_form(&mut self, forms: &[Value], value: &Value, path: &str, depth: usize) {
        let tries = forms.iter().map(|form| {
            let mut check = Check { root: self.root, found: Vec::new() };
            check.value(form, value, path, depth + 1);
            check.found
        });
        let deepest = |found: &Vec<Violation>| found.iter().map(|v| v.path.len()).max().unwrap_or(0);
        match tries.max_by_key(deepest).filter(|found| deepest(found) > path.len()) {
            Some(nearest) => nearest.into_iter().for_each(|v| self.fail(&v.path, v.message)),
            None => self.fail(path, format!("is {}, which fits none of the forms it may have", short(value))),
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, n: f64, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        let rules = [
            ("minimum", "less than", bound("minimum").filter(|b| n < *b)),
            ("maximum", "more than", bound("maximum").filter(|b| n > *b)),
            ("exclusiveMinimum", "not more than", bound("exclusiveMinimum").filter(|b| n <= *b)),
            ("exclusiveMaximum", "not less than", bound("exclusiveMaximum").filter(|b| n >= *b)),
        ];
        for (_, relation, broken) in rules {
            if let Some(bound) = broken {
                self.fail(path, format!("is {n}, {relation} {bound}"));
            }
        }
        if let Some(unit) = bound("multipleOf").filter(|u| *u > 0.0 && ((n / u).round() * u - n).abs() > 1e-9 * n.abs())
        {
            self.fail(path, format!("is {n}, not a multiple of {unit}"));
        }
    }

    fn count(&mut self, schema: &Map<String, Value>, n: usize, keys: [&str; 2], what: &str, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64);
        if let Some(least) = bound(keys[0]).filter(|b| (n as u64) < *b) {
            self.fail(path, format!("has {n} {what}, at least {least} are wanted"));
        }
        if let Some(most) = bound(keys[1]).filter(|b| n as u64 > *b) {
            self.fail(path, format!("has {n} {what}, at most {most} are wanted"));
        }
    }

    fn array(&mut self, schema: &Map<String, Value>, items: &[Value], path: &str, depth: usize) {
        self.count(schema, items.len(), ["minItems", "maxItems"], "items", path);
        let none = Vec::new();
        let first = schema.get("prefixItems").and_then(Value::as_array).unwrap_or(&none);
        for (i, item) in items.iter().enumerate() {
            if let Some(form) = first.get(i).or(schema.get("items")) {
                self.value(form, item, &format!("{path}/{i}"), depth + 1);
            }
        }
        if schema.get("uniqueItems") == Some(&Value::Bool(true))
            && let Some(i) = (1..items.len()).find(|&i| items[..i].contains(&items[i]))
        {
            self.fail(&format!("{path}/{i}"), "is there twice");
        }
    }

    fn object(&mut self, schema: &Map<String, Value>, fields: &Map<String, Value>, path: &str, depth: usize) {
        self.count(schema, fields.len(), ["minProperties", "maxProperties"], "fields", path);
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(key) {
                self.fail(&step(path, key), "is missing");
            }
        }
        let known = schema.get("properties").and_then(Value::as_object);
        let patterns = schema.get("patternProperties").and_then(Value::as_object);
        for (key, value) in fields {
            let at = step(path, key);
            if let Some(form) = known.and_then(|k| k.get(key)) {
                self.value(form, value, &at, depth + 1);
                continue;
            }
            match pattern(patterns, key) {
                Pattern::Form(form) => self.value(form, value, &at, depth + 1),
                Pattern::Unknown => {}
                Pattern::None => match schema.get("additionalProperties") {
                    Some(Value::Bool(false)) => self.fail(&at, "is not a field it may have"),
                    Some(form) => self.value(form, value, &at, depth + 1),
                    None => {}
                },
            }
        }
    }
}

enum Pattern<'a> {
    Form(&'a Value),
    /// There is a pattern that this module cannot read: the key may be one of it.
    Unknown,
    None,
}

/// `schemars` writes patterns for the keys of maps with whole numbers as keys.
fn pattern<'a>(patterns: Option<&'a Map<String, Value>>, key: &str) -> Pattern<'a> {
    let digits = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_digit());
    let mut unknown = false;
    for (pattern, form) in patterns.into_iter().flatten() {
        match pattern.as_str() {
            r"^\d+$" if digits(key) => return Pattern::Form(form),
            r"^-?\d+$" if digits(key.strip_prefix('-').unwrap_or(key)) => return Pattern::Form(form),
            r"^\d+$" | r"^-?\d+$" => {}
            _ => unknown = true,
        }
    }
    if unknown { Pattern::Unknown } else { Pattern::None }
}

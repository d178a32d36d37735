//! Typed answers: a schema into the prompt, a checked value out.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Code, Completion, Content, ContentPart, Engine, Error, Finish, Message, Request, ResponseFormat, Result, Role,
    partial::{self, Parsed},
    schema,
};

/// How [`Engine::extract_with`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// Answers that are asked for at most: each one after the first is told what was wrong with the one before.
    pub attempts: u32,
    /// What stands between the schema and its form in the system message.
    pub instruction: String,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        ExtractOptions { attempts: 3, instruction: "Answer with JSON of this form, and with nothing else:".into() }
    }
}

impl ExtractOptions {
    /// The default: three attempts.
    pub fn new() -> ExtractOptions {
        ExtractOptions::default()
    }

    /// How many answers are asked for at most.
    #[must_use]
    pub fn attempts(mut self, n: u32) -> ExtractOptions {
        self.attempts = n.max(1);
        self
    }

    /// What stands between the schema and its form in the system message.
    #[must_use]
    pub fn instruction(mut self, text: impl Into<String>) -> ExtractOptions {
        self.instruction = text.into();
        self
    }
}

impl Engine {
    /// Answers a request with a value of type `T`. The schema of `T` goes into the system message and into
    /// `response_format`; the answer is read leniently (fences, prose around it, trailing commas), checked against the
    /// schema, and asked for again, with what was wrong, up to three times. [`Code::Limit`] if none of the answers fits:
    /// the message names the place.
    ///
    /// The engine does not enforce the schema while it generates yet, so small models need the retries.
    ///
    /// ```no_run
    /// # let engine = ingle::Engine::new(&ingle::Model::open("model.gguf")?)?;
    /// use ingle::{Message, Request};
    ///
    /// #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
    /// struct Person {
    ///     name: String,
    ///     /// Year of birth
    ///     born: i32,
    /// }
    /// let text = "Ada Lovelace was born in 1815 in London.";
    /// let person: Person = engine.extract(Request::chat([Message::user(text)]).temperature(0.0))?;
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn extract<T: DeserializeOwned + JsonSchema>(&self, request: Request) -> Result<T> {
        self.extract_with(request, &ExtractOptions::default())
    }

    /// The same with options.
    pub fn extract_with<T: DeserializeOwned + JsonSchema>(
        &self,
        request: Request,
        options: &ExtractOptions,
    ) -> Result<T> {
        ask(request, options, |request| self.run(request))
    }
}

/// Asks until an answer fits.
fn ask<T: DeserializeOwned + JsonSchema>(
    request: Request,
    options: &ExtractOptions,
    mut run: impl FnMut(Request) -> Result<Completion>,
) -> Result<T> {
    let schema = schema::of::<T>();
    let mut messages = messages_with_schema(&request, options, &schema)?;
    let mut request = request;
    request.fields_mut().remove("prompt");
    if request.get("response_format").is_none() {
        let name = schema.get("title").and_then(Value::as_str).unwrap_or("answer").to_string();
        request = request.response_format(ResponseFormat::schema(name, schema.clone()));
    }
    let mut wrong = String::new();
    for _ in 0..options.attempts.max(1) {
        request.set_messages(&messages);
        let answer = run(request.clone())?;
        if answer.finish == Finish::Cancelled {
            return Err(Error::new(Code::Cancelled, "cancelled"));
        }
        match read(&schema, &answer) {
            Ok(value) => return Ok(value),
            Err(problem) => wrong = problem,
        }
        messages.push(Message::assistant(answer.text));
        let form = form_order(&schema);
        messages.push(Message::user(format!("That does not fit: {wrong}. Correct it.\n\n{form}")));
    }
    let tries = options.attempts.max(1);
    Err(Error::new(Code::Limit, format!("none of {tries} answers fits the schema; the last one: {wrong}"))
        .with_hint("ask more precisely, allow more attempts or tokens, or use a larger model"))
}

/// The chat with the schema at the end of its system message, and the form at the end of its last turn: a form is what
/// small models understand, and the end is what they read.
fn messages_with_schema(request: &Request, options: &ExtractOptions, schema: &Value) -> Result<Vec<Message>> {
    let mut messages = request.messages()?;
    if messages.is_empty() {
        let prompt = request.get("prompt").and_then(Value::as_str).ok_or_else(|| {
            Error::new(Code::BadRequest, "the request has neither messages nor a prompt")
                .with_hint("use Request::chat or Request::prompt")
        })?;
        messages.push(Message::user(prompt));
    }
    let order = format!("JSON schema:\n{schema}\n\n{}\n{}", options.instruction, schema::form(schema));
    match messages.first_mut().filter(|m| matches!(m.role, Role::System | Role::Developer)) {
        Some(system) => append(system, &order),
        None => messages.insert(0, Message::system(order)),
    }
    if let Some(last) = messages.last_mut().filter(|m| m.role == Role::User) {
        append(last, &form_order(schema));
    }
    Ok(messages)
}

fn form_order(schema: &Value) -> String {
    format!("Answer as JSON of this form: {}", schema::form(schema))
}

/// Puts a paragraph behind a message's content, which may have parts that are no text.
fn append(message: &mut Message, text: &str) {
    match &mut message.content {
        Some(Content::Text(content)) => *content = format!("{content}\n\n{text}"),
        Some(Content::Parts(parts)) => parts.push(ContentPart::text(text)),
        None => message.content = Some(text.into()),
    }
}

/// The first value in an answer that fits, or what is wrong with the likeliest one.
fn read<T: DeserializeOwned>(form: &Value, answer: &Completion) -> std::result::Result<T, String> {
    let mut wrong = None;
    for Parsed { value, complete } in partial::candidates(&answer.text) {
        // What was cut off by the limit of tokens would pass for a shorter list or text.
        if !complete && answer.finish == Finish::Length {
            wrong.get_or_insert_with(|| "it was cut off before its end".to_string());
            continue;
        }
        let problem = match schema::validate(form, &value).first() {
            Some(violation) => violation.to_string(),
            None => match serde_json::from_value(value) {
                Ok(value) => return Ok(value),
                Err(e) => e.to_string(),
            },
        };
        wrong.get_or_insert(problem);
    }
    Err(wrong.unwrap_or_else(|| "there is no JSON in it".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timings, Usage};
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Person {
        name: String,
        #[schemars(range(min = 1000, max = 2100))]
        born: i32,
        #[serde(default)]
        tags: Vec<String>,
        pet: Option<Pet>,
    }

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(tag = "kind", rename_all = "lowercase")]
    enum Pet {
        Cat { lives: u8 },
        Dog { name: String },
    }

    fn answer(text: &str, finish: Finish) -> Completion {
        let (usage, timings) = (Usage::default(), Timings::default());
        Completion { text: text.into(), reasoning: String::new(), finish, usage, timings }
    }

    /// Runs with prepared answers; gives the result and the requests.
    fn with(answers: &[(&str, Finish)]) -> (Result<Person>, Vec<Request>) {
        let mut asked = Vec::new();
        let request = Request::chat([Message::system("Be brief."), Message::user("Who?")]).temperature(0.0);
        let options = ExtractOptions::default().attempts(answers.len() as u32);
        let result = ask(request, &options, |request| {
            asked.push(request);
            let (text, finish) = answers[asked.len() - 1];
            Ok(answer(text, finish))
        });
        (result, asked)
    }

    #[test]
    fn the_schema_is_asked_for_and_the_answer_is_read() {
        let text =
            "Sure:\n```json\n{\"name\": \"Ada\", \"born\": 1815, \"pet\": {\"kind\": \"cat\", \"lives\": 9},}\n```";
        let (person, asked) = with(&[(text, Finish::Stop)]);
        let pet = Some(Pet::Cat { lives: 9 });
        assert_eq!(person.unwrap(), Person { name: "Ada".into(), born: 1815, tags: vec![], pet });
        let messages = asked[0].messages().unwrap();
        assert_eq!(messages.len(), 2);
        assert!(messages[0].text().starts_with("Be brief.") && messages[0].text().contains("\"born\""));
        let form = r#"{"name":"...","born":1000,"tags":["..."],"pet":{"kind":"cat","lives":0}}"#;
        assert!(messages[1].text().starts_with("Who?") && messages[1].text().ends_with(form), "{}", messages[1].text());
        assert_eq!(asked[0].get("response_format").unwrap()["type"], "json_schema");
        assert_eq!(asked[0].get("temperature"), Some(&0.0.into()));
    }

    #[test]
    fn what_was_wrong_is_fed_back() {
        let answers = [
            ("I do not know.", Finish::Stop),
            ("{\"name\": \"Ada\", \"born\": \"long ago\"}", Finish::Stop),
            ("{\"name\": \"Ada\", \"born\": 1815}", Finish::Stop),
        ];
        let (person, asked) = with(&answers);
        assert_eq!(person.unwrap().born, 1815);
        let said = |i: usize| asked[i].messages().unwrap().last().unwrap().text();
        assert!(said(1).contains("no JSON"), "{}", said(1));
        assert!(said(2).contains("/born is a string, not an integer"), "{}", said(2));
        assert_eq!(asked[2].messages().unwrap().len(), 6);
    }

    #[test]
    fn the_error_names_the_place() {
        for (text, place) in [
            ("{\"name\": \"Ada\"}", "/born is missing"),
            ("{\"name\": \"Ada\", \"born\": 3000}", "/born is 3000, more than 2100"),
            ("{\"name\": \"Ada\", \"born\": 1815, \"tags\": [\"a\", 2]}", "/tags/1 is an integer, not a string"),
            ("{\"name\": \"Ada\", \"born\": 1815, \"pet\": {\"kind\": \"cat\", \"lives\": 900}}", "/pet/lives"),
            ("[1]", "is an array, not an object"),
        ] {
            let error = with(&[(text, Finish::Stop)]).0.unwrap_err();
            assert_eq!(error.code, Code::Limit);
            assert!(error.message.contains(place), "{text}: {}", error.message);
            assert!(!error.hint.is_empty());
        }
    }

    #[test]
    fn a_missing_brace_is_closed_but_what_was_cut_off_is_not_taken() {
        let text = "{\"name\": \"Ada\", \"born\": 1815, \"tags\": [\"a\"";
        assert_eq!(with(&[(text, Finish::Stop)]).0.unwrap().tags, ["a"]);
        let error = with(&[(text, Finish::Length)]).0.unwrap_err();
        assert!(error.message.contains("cut off"), "{}", error.message);
    }

    #[test]
    fn cancelling_ends_it() {
        let (result, asked) = with(&[("{", Finish::Cancelled), ("{}", Finish::Stop)]);
        assert_eq!(result.unwrap_err().code, Code::Cancelled);
        assert_eq!(asked.len(), 1);
    }

    #[test]
    fn a_prompt_becomes_a_chat() {
        let mut seen = Vec::new();
        let n: u32 = ask(Request::prompt("How many?"), &ExtractOptions::default(), |request| {
            seen.push(request);
            Ok(answer("42", Finish::Stop))
        })
        .unwrap();
        assert_eq!(n, 42);
        assert!(seen[0].get("prompt").is_none());
        assert!(seen[0].messages().unwrap()[1].text().starts_with("How many?"));
    }
}

"""The simple names: an app as the tutorials write it runs unchanged."""
import json

import pytest

from harness import PageError, cli


@pytest.fixture(scope="module")
def page(start, copies, request):
    models = {"tiny.gguf": copies("tiny")}
    try:
        models["smollm2.gguf"] = request.getfixturevalue("real")
    except pytest.skip.Exception:
        pass
    with start(models=models, config={"compat": True, "options": {"seed": 7}}) as page:
        yield page


@pytest.mark.parametrize("model, n", [("tiny", 60), ("smollm2", 24)])
def test_load_generate_and_events(page, model, n):
    path = page.home.store / "models" / f"{model}.gguf"
    if not path.exists():
        pytest.skip("no SmolLM2 in the store: run python3 tools/get_model.py")
    prompt = "Once upon a time"
    got = page.run("compat", model, prompt, n)
    assert got["tokens"] and "".join(got["tokens"]) == got["text"]
    assert len(got["tokens"]) >= n // 2, "one event a token"
    want = json.loads(cli("run", path, prompt, "--chat", "--json", "-n", n, "--seed", 7))
    assert got["text"] == want["text"]


def test_it_is_off_unless_asked_for(app):
    calls = {"load_llm_model": {"modelPath": "tiny"}, "generate_text": {"prompt": "x", "maxTokens": 3}}
    for command, args in calls.items():
        with pytest.raises(PageError):
            app.invoke(command, **args)


def test_errors_are_texts(page):
    with pytest.raises(PageError) as error:
        page.invoke("load_llm_model", modelPath="no-such-model")
    assert error.value.code is None and "no-such-model" in error.value.message

#!/usr/bin/env python3
"""What the way C -> Rust -> Channel -> page costs: tokens a second and the delay of the first token.

    bench/tauri_overhead.py [--model PATH] [--tokens 128] [--pairs 7] [--threads N] [--json FILE]

Each pair runs the same prompt with the same options in the command line program and in a page (WebKitGTK under Xvfb), in
turn, so that a change of the machine's load meets both. Medians over the pairs are compared:

    command       tokens / seconds from the first token to the last, by the engine's clock
    page          tokens / seconds from the first text in the page to the message `done`, by the page's clock
    first token   from the call in the page to its first text, less the engine's own time for the prompt

Needs the test app (cargo build --release -p tauri-test-app --features custom-protocol, path in INGLE_TAURI_APP), Xvfb,
WebKitWebDriver and selenium (tools/venv_here.py makes the environment).
"""
import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests/tauri"), str(TOP / "tools")]

# Times in the page. The first text and `done` are stamped in the channel's handler, before anything else looks at them.
MEASURE = """async ({ request }) => {
    const channel = new window.__TAURI__.core.Channel();
    const seen = { first: 0, messages: 0, tokens: 0 };
    const result = new Promise((resolve, reject) => {
        channel.onmessage = ({ event, data }) => {
            const now = performance.now();
            seen.messages++;
            if (event === 'text') { seen.first ||= now; seen.tokens += data.tokens; }
            if (event === 'done') resolve({ ...seen, done: now, ...data });
            if (event === 'error') reject(data);
        };
    });
    const began = performance.now();
    await window.__TAURI__.core.invoke('plugin:ingle|generate', { request, onEvent: channel });
    const got = await result;
    return { ...got, firstMs: got.first - began, textMs: got.done - got.first };
}"""


def options_of(args, seed):
    options = {"temperature": 0.7, "seed": seed, "ignore-eos": True}
    return options, {"threads": args.threads} if args.threads else {}


def in_command(harness, args, prompt, seed):
    options, load = options_of(args, seed)
    flags = [part for name, value in {**options, **load}.items()
             for part in ([f"--{name}"] + ([] if value is True else [str(value)]))]
    out = json.loads(harness.cli("run", args.model, prompt, "--json", "-n", args.tokens, *flags))
    return {"rate": out["output_tokens"] / out["output_seconds"], "text": out["text"],
            "prompt": out["prompt_seconds"]}


def in_page(page, args, prompt, seed):
    options, _ = options_of(args, seed)
    request = {"model": "model", "prompt": prompt, "maxTokens": args.tokens, "options": options}
    got = page.call(MEASURE, timeout=600, request=request)
    if got["tokens"] != args.tokens:
        sys.exit(f"{got['tokens']} tokens in the page, {args.tokens} were asked for")
    return {"rate": 1000 * got["tokens"] / got["textMs"], "engine": got["timings"]["tokensPerSecond"],
            "delay": got["firstMs"] - 1000 * got["timings"]["promptSeconds"], "messages": got["messages"]}


def measure(harness, args):
    rows = []
    with tempfile.TemporaryDirectory() as folder, harness.Display() as display:
        home = harness.Home(pathlib.Path(folder) / "home")
        home.add("model.gguf", args.model)
        config = json.loads(args.config)
        with harness.Page(display, home, config=config) as page:
            _, load = options_of(args, 0)
            page.run("load", "model", load)
            # The page's own frame meter is no part of the way.
            page.js("window.requestAnimationFrame = () => 0")
            in_page(page, args, "Warm up.", 0)
            in_command(harness, args, "Warm up.", 0)
            for pair in range(args.pairs):
                prompt = f"Chapter {pair + 1}. It was a dark night at the lighthouse when"
                both = {"command": lambda: in_command(harness, args, prompt, pair),
                        "page": lambda: in_page(page, args, prompt, pair)}
                row = {name: both[name]() for name in (both if pair % 2 else reversed(both))}
                row["command"].pop("text")
                rows.append(row)
                print(f"pair {pair + 1}: command {row['command']['rate']:.1f}, page {row['page']['rate']:.1f} tokens/s, "
                      f"first token {row['page']['delay']:+.1f} ms", file=sys.stderr, flush=True)
    return rows


def summary(args, rows):
    def median(values):
        return statistics.median(list(values))

    command = median(row["command"]["rate"] for row in rows)
    page = median(row["page"]["rate"] for row in rows)
    engine = median(row["page"]["engine"] for row in rows)
    return {
        "model": pathlib.Path(args.model).name, "tokens": args.tokens, "pairs": len(rows), "threads": args.threads,
        "command_tokens_per_second": command, "page_tokens_per_second": page, "engine_in_app_tokens_per_second": engine,
        "loss_percent": 100 * (1 - median(row["page"]["rate"] / row["command"]["rate"] for row in rows)),
        "transport_loss_percent": 100 * (1 - median(row["page"]["rate"] / row["page"]["engine"] for row in rows)),
        "first_token_delay_ms": median(row["page"]["delay"] for row in rows),
        "messages_per_token": median(row["page"]["messages"] / args.tokens for row in rows),
        "load_average": os.getloadavg()[0], "rows": rows,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a .gguf; SmolLM2 of the store if not given")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--config", default="{}", help='plugins.ingle of the app, such as {"batchMs": 33}')
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    try:
        import selenium  # noqa: F401
    except ImportError:
        import venv_here
        python = venv_here.ensure(str(TOP / "tests/tauri/requirements.txt"), "venv-tauri")
        os.execv(python, [python, *sys.argv])
    import harness

    args.model = args.model or harness.real_model()
    if not args.model:
        sys.exit("no SmolLM2 in the store: run python3 tools/get_model.py")
    out = summary(args, measure(harness, args))
    print(f"""
| {out['model']}, {out['tokens']} tokens, medians of {out['pairs']} pairs | |
|---|---:|
| command, tokens/s | {out['command_tokens_per_second']:.2f} |
| page, tokens/s | {out['page_tokens_per_second']:.2f} |
| loss against the command | {out['loss_percent']:.1f} % |
| loss between the engine in the app and the page | {out['transport_loss_percent']:.2f} % |
| first token later by | {out['first_token_delay_ms']:.1f} ms |
| messages a token | {out['messages_per_token']:.2f} |
""")
    text = json.dumps(out, indent=1)
    if args.json:
        pathlib.Path(args.json).write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()

const { chat, downloadModel, listModels, loadModel } = window.__TAURI__.ingle;

/** Downloaded when no model is on this computer: `owner/repository:file`. */
const MODEL = 'bartowski/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct-Q4_K_M.gguf';

const $ = (id) => document.getElementById(id);
const messages = [{ role: 'system', content: 'You are a helpful assistant. Answer briefly.' }];
let model = '';
let stream = null;

/** Adds a message to the page and returns a function that replaces its text. */
function show(role, text) {
  const article = document.createElement('article');
  article.className = role;
  article.textContent = text;
  $('messages').append(article);
  return (grown) => {
    article.textContent = grown;
    article.scrollIntoView({ block: 'end' });
  };
}

async function ask(question) {
  messages.push({ role: 'user', content: question });
  show('user', question);
  const set = show('assistant', '…');
  let answer = '';
  stream = chat({ model, messages });
  $('send').textContent = 'Stop';
  try {
    for await (const event of stream) {
      if (event.event === 'text') set((answer += event.data.text));
      if (event.event === 'done') {
        if (!answer) set('(no answer)');
        $('speed').textContent = `${event.data.timings.tokensPerSecond.toFixed(0)} tokens/s`;
      }
    }
    // A question without an answer would be followed by another question, which many models refuse.
    if (answer) messages.push({ role: 'assistant', content: answer });
    else messages.pop();
  } catch (error) {
    messages.pop();
    set(answer);
    show('notice', `${error.message} ${error.hint ?? ''}`);
  }
  stream = null;
  $('send').textContent = 'Send';
}

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (stream) {
    stream.cancel();
    return;
  }
  const question = $('text').value.trim();
  if (!question) return;
  $('text').value = '';
  ask(question);
});

async function begin(name) {
  model = name;
  $('welcome').hidden = true;
  $('chat').hidden = false;
  $('model').textContent = name;
  $('text').focus();
  try {
    const loaded = await loadModel(name);
    $('speed').textContent = loaded.device;
  } catch (error) {
    show('notice', `${error.message} ${error.hint ?? ''}`);
  }
}

$('download').addEventListener('click', async () => {
  $('download').disabled = true;
  $('problem').textContent = '';
  try {
    const stored = await downloadModel(MODEL, {
      onProgress: ({ bytesDone, bytesTotal, bytesPerSecond }) => {
        if (bytesTotal) $('progress').value = bytesDone / bytesTotal;
        const mega = (bytes) => (bytes / 1e6).toFixed(0);
        $('numbers').textContent = `${mega(bytesDone)} MB at ${mega(bytesPerSecond)} MB/s`;
      },
    });
    await begin(stored.name);
  } catch (error) {
    $('problem').textContent = `${error.message} ${error.hint ?? ''}`;
  }
  $('download').disabled = false;
});

try {
  const found = (await listModels()).find((m) => m.complete);
  if (found) await begin(found.name);
  else $('welcome').hidden = false;
} catch (error) {
  $('welcome').hidden = false;
  $('problem').textContent = `${error.message} ${error.hint ?? ''}`;
}

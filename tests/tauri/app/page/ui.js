// The buttons. The page draws once per animation frame, however many messages come.
'use strict';

(() => {
  const { harness } = window;
  const $ = (id) => document.getElementById(id);
  let shown = null;
  let drawing = false;

  function log(what, value) {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 1);
    const node = $('log');
    node.textContent = `${node.textContent}${what}: ${text.slice(0, 2000)}\n`.slice(-20000);
    node.scrollTop = node.scrollHeight;
  }

  function draw() {
    drawing = false;
    if (!shown) return;
    const node = $('answer');
    node.textContent = shown.text;
    node.scrollTop = node.scrollHeight;
    const name = shown.error ? 'error' : shown.running ? 'running' : 'idle';
    $('status').dataset.state = name;
    $('status').textContent = shown.error?.code ?? shown.finish ?? name;
    if (shown.timings) $('speed').textContent = shown.timings.tokensPerSecond.toFixed(1);
  }

  function redraw() {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(draw);
  }

  harness.onChange((kind, data) => {
    if (kind === 'stream') shown = data;
    if (kind === 'stream' || kind === 'event' || kind === 'end') redraw();
    if (kind === 'end')
      log('end', { key: data.key, finish: data.finish, tokens: data.tokens, error: data.error });
    if (kind === 'load') $('load-progress').value = data.done;
    if (kind === 'loaded') {
      $('load-progress').value = 1;
      $('model-name').textContent = `${data.name} on ${data.device}`;
    }
    if (kind === 'unloaded') {
      $('load-progress').value = 0;
      $('model-name').textContent = 'no model';
    }
    if (kind === 'download') drawDownload(data);
  });

  function drawDownload({ progress, model, error }) {
    if (error) $('download-text').textContent = `${error.code}: ${error.message}`;
    else if (model) $('download-text').textContent = `${model.name} is in the store`;
    else if (progress) {
      const part = progress.bytesTotal ? progress.bytesDone / progress.bytesTotal : 0;
      const speed = (progress.bytesPerSecond / 1e6).toFixed(1);
      $('download-progress').value = part;
      $('download-text').textContent =
        `${progress.phase} ${(part * 100).toFixed(0)} % · ${speed} MB/s`;
    }
    if (model) $('download-progress').value = 1;
  }

  function press(id, ...call) {
    $(id).addEventListener('click', async () => {
      const args = call.slice(1).map((arg) => (typeof arg === 'function' ? arg() : arg));
      const { value, error } = await harness.run(call[0], ...args);
      log(id, error ? `${error.code ?? error.name}: ${error.message} ${error.hint ?? ''}` : value);
    });
  }

  const model = () => $('model').value;
  press('load', 'load', model);
  press('unload', 'unload', model);
  press('info', 'info', model);
  press('download', 'startDownload', () => $('source').value);
  press('download-cancel', 'cancelDownload');
  press('stop', 'stop');
  press('list', 'listStreams');
  press('attach', 'attach');
  press('devices', 'devices');
  press('errors', 'errors');
  press('frames', 'frames', 2000);
  press('compat', 'compat', model);
  press('embed', 'embed', { input: ['a cat sleeps', 'a kitten naps', 'tax law of 1987'] });
  press('order', 'order', {
    prompt: 'One,',
    maxTokens: 20000,
    seed: 1,
    options: { 'ignore-eos': true },
  });
  press('object', 'object', {
    prompt: 'Invent a person.',
    maxTokens: 200,
    schema: {
      type: 'object',
      properties: { name: { type: 'string' }, age: { type: 'integer' } },
      required: ['name', 'age'],
    },
  });

  $('ask').addEventListener('submit', (event) => {
    event.preventDefault();
    harness.startChat($('prompt').value);
  });
  $('prompt').addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      $('ask').requestSubmit();
    }
  });

  // A small meter of the page's own frame rate.
  let frames = 0;
  let since = performance.now();
  const tick = (now) => {
    frames++;
    if (now - since >= 1000) {
      $('fps').textContent = ((frames * 1000) / (now - since)).toFixed(0);
      frames = 0;
      since = now;
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
})();

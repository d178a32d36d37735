import type { LoadedModel, StoredModel } from 'tauri-plugin-ingle-api';
import { Refusal, scenario, sender, type Commands } from './ipc';

const all: StoredModel[] = [
  {
    name: 'smollm2',
    path: '/home/you/.local/share/ingle/models/smollm2.gguf',
    bytes: 98_362_432,
    format: 'gguf',
    source: null,
    complete: true,
    loaded: false,
  },
  {
    name: 'Qwen3-1.7B-Q8_0',
    path: '/home/you/.local/share/ingle/models/Qwen3-1.7B-Q8_0.gguf',
    bytes: 1_834_426_016,
    format: 'gguf',
    source: 'Qwen/Qwen3-1.7B-GGUF:Qwen3-1.7B-Q8_0.gguf',
    complete: true,
    loaded: false,
  },
  {
    name: 'Qwen3-4B-Q4_K_M',
    path: '/home/you/.local/share/ingle/models/Qwen3-4B-Q4_K_M.gguf',
    bytes: 812_000_000,
    format: 'gguf',
    source: 'Qwen/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M.gguf',
    complete: false,
    loaded: false,
  },
];

export const store: StoredModel[] = scenario === 'empty' ? [] : all;

function loaded(model: string): LoadedModel {
  let entry = store.find((m) => m.name === model || m.path === model);
  if (!entry) {
    // A file outside the store is listed while it is loaded.
    const name = (model.split('/').pop() ?? model).replace(/\.gguf$/, '');
    entry = {
      name,
      path: model,
      bytes: 5e8,
      format: 'gguf',
      source: null,
      complete: true,
      loaded: true,
    };
    store.push(entry);
  }
  entry.loaded = true;
  const { path } = entry;
  return {
    id: model,
    name: model,
    path,
    loadSeconds: 0.4,
    device: 'cpu',
    info: {
      path,
      name: model,
      format: 'gguf',
      family: 'llama',
      parameters: 134_515_008,
      layers: 30,
      width: 576,
      feedForward: 1536,
      heads: 9,
      kvHeads: 3,
      headSize: 64,
      context: 8192,
      vocabulary: 49_152,
      tensorTypes: { F32: 61, Q4_1: 210, Q8_0: 1 },
      tensors: 272,
      tokenizer: 'bpe',
      specialTokens: {},
      chatTemplate: true,
      memory: {
        weights: 96_576_768,
        copied: 0,
        kvPerToken: 23_040,
        kvAtDefaultContext: 94_371_840,
        total: 190_948_608,
      },
      loadSeconds: 0.4,
    },
  };
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const devices = [
  {
    id: 'cpu',
    kind: 'cpu',
    name: 'Example CPU at 3.2 GHz',
    threads: 4,
    memoryBytes: 16e9,
    kernels: 'AVX2',
    usable: true,
  },
  {
    id: 'gpu0',
    kind: 'gpu',
    name: 'Example GPU',
    memoryBytes: 4e9,
    usable: false,
    reason: 'this build has no kernels for it',
  },
];

export const modelCommands: Commands = {
  'plugin:ingle|list_models': () => store.map((m) => ({ ...m })),
  'plugin:ingle|load_model': async ({ model, onEvent }) => {
    const channel = sender(onEvent);
    if (scenario === 'broken')
      throw new Refusal(
        'bad_file',
        `${String(model)}.gguf: the file ends at byte 41943040, in the middle of the tensor blk.7.ffn_up.weight.`,
        'The download was cut off or the disk was full. Delete the model and download it again.',
      );
    const pause = scenario === 'slow' ? 400 : 40;
    for (let i = 1; i <= 10; i++) {
      channel.send({ event: 'progress', data: { done: i / 10, what: 'weights' } });
      await sleep(pause);
    }
    return loaded(String(model));
  },
  'plugin:ingle|unload_model': ({ model }) => {
    const entry = store.find((m) => m.name === model);
    if (entry) entry.loaded = false;
    return null;
  },
  'plugin:ingle|remove_model': ({ model }) => {
    const at = store.findIndex((m) => m.name === model);
    if (at < 0) throw new Refusal('not_found', `There is no model ${String(model)}.`);
    store.splice(at, 1);
    return null;
  },
  'plugin:ingle|devices': () => devices,
  'plugin:ingle|doctor': () => ({
    version: '0.1.0',
    system: {},
    devices,
    model: null,
    speed: null,
    problems: [
      {
        severity: 'note',
        what: 'The processor runs at its power-saving speed.',
        hint: 'Plug in the charger.',
      },
    ],
  }),
};

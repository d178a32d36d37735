import { Refusal, sender, type Commands } from './ipc';
import { store } from './models';

const RATE = 24e6;
const parts = new Map<string, number>();
const running = new Map<string, () => void>();

export const downloadCommands: Commands = {
  'plugin:ingle|list_downloads': () => [],
  'plugin:ingle|download_model': ({ source, onEvent }) => {
    const name = String(source);
    const channel = sender(onEvent);
    const id = `download-${Date.now()}`;
    if (/missing/.test(name))
      throw new Refusal(
        'not_found',
        `${name} was not found on huggingface.co (404).`,
        'Check the spelling of the owner and the repository. Private models need a token.',
      );
    const total = 105_454_432;
    const resumed = parts.get(name) ?? 0;
    let done = resumed;
    channel.send({ event: 'started', data: { source: name, download: id } });
    const timer = setInterval(() => {
      done = Math.min(total, done + RATE / 10);
      parts.set(name, done);
      if (/cut/.test(name) && done > total / 2) {
        stop();
        channel.send({
          event: 'error',
          data: {
            code: 'io',
            message: 'The connection was lost after 53 MB.',
            hint: 'Check the network. What is here is kept, and the download goes on from there.',
          },
        });
        return;
      }
      channel.send({
        event: 'progress',
        data: {
          phase: 'download',
          file: 'model.gguf',
          fileIndex: 0,
          files: 1,
          bytesDone: done,
          bytesTotal: total,
          bytesResumed: resumed,
          bytesPerSecond: RATE,
          secondsLeft: (total - done) / RATE,
        },
      });
      if (done < total) return;
      stop();
      const model = {
        name:
          name
            .split(/[/:]/)
            .pop()
            ?.replace(/\.gguf$/, '') ?? name,
        path: '/home/you/.local/share/ingle/models/new.gguf',
        bytes: total,
        format: 'gguf',
        source: name,
        complete: true,
        loaded: false,
      };
      store.push(model);
      channel.send({ event: 'done', data: { model } });
    }, 100);
    const stop = () => {
      clearInterval(timer);
      running.delete(id);
    };
    running.set(id, () => {
      stop();
      channel.send({
        event: 'error',
        data: { code: 'cancelled', message: 'Cancelled.', hint: '' },
      });
    });
    return { download: id };
  },
  'plugin:ingle|cancel_download': ({ download }) => {
    running.get(String(download))?.();
    return null;
  },
};

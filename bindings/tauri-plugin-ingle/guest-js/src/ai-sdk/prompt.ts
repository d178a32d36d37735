import type {
  LanguageModelV4CallOptions,
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolResultPart,
  SharedV4Warning,
} from '@ai-sdk/provider';
import {
  IngleError,
  schemaInstruction,
  withInstruction,
  type ChatRequest,
  type Message,
  type MessageToolCall,
  type Options,
  type Tool,
} from '../index.js';

/** The AI SDK's call as a request of ingle, and what of it ingle cannot do. */
export function toRequest(
  call: LanguageModelV4CallOptions,
  base: Omit<ChatRequest, 'messages'>,
): { request: ChatRequest; warnings: SharedV4Warning[] } {
  const warnings: SharedV4Warning[] = [];
  const request: ChatRequest = { ...base, messages: toMessages(call.prompt) };
  if (call.maxOutputTokens !== undefined) request.maxTokens = call.maxOutputTokens;
  if (call.temperature !== undefined) request.temperature = call.temperature;
  if (call.topP !== undefined) request.topP = call.topP;
  if (call.topK !== undefined) request.topK = call.topK;
  if (call.seed !== undefined) request.seed = call.seed;
  if (call.stopSequences?.length) request.stop = call.stopSequences;
  const options: Options = { ...base.options };
  if (call.presencePenalty !== undefined) options['presence-penalty'] = call.presencePenalty;
  if (call.frequencyPenalty !== undefined) options['frequency-penalty'] = call.frequencyPenalty;
  Object.assign(options, call.providerOptions?.['ingle']);
  if (Object.keys(options).length) request.options = options;
  else delete request.options;
  addTools(request, call, warnings);
  addFormat(request, call);
  if (call.reasoning !== undefined && call.reasoning !== 'provider-default')
    warnings.push({
      type: 'unsupported',
      feature: 'reasoning',
      details: 'a local model thinks as much as its template makes it',
    });
  return { request, warnings };
}

function addTools(
  request: ChatRequest,
  call: LanguageModelV4CallOptions,
  warnings: SharedV4Warning[],
): void {
  const tools: Tool[] = [];
  for (const tool of call.tools ?? []) {
    if (tool.type === 'provider')
      warnings.push({ type: 'unsupported', feature: `provider tool ${tool.id}` });
    else
      tools.push({
        type: 'function',
        function: {
          name: tool.name,
          ...(tool.description === undefined ? {} : { description: tool.description }),
          parameters: tool.inputSchema as Record<string, unknown>,
        },
      });
  }
  if (tools.length) request.tools = tools;
  const choice = call.toolChoice;
  if (!tools.length || !choice) return;
  request.toolChoice =
    choice.type === 'tool'
      ? { type: 'function', function: { name: choice.toolName } }
      : choice.type;
}

function addFormat(request: ChatRequest, call: LanguageModelV4CallOptions): void {
  const format = call.responseFormat;
  if (format?.type !== 'json') return;
  const schema = format.schema as Record<string, unknown> | undefined;
  if (!schema) {
    request.responseFormat = { type: 'json_object' };
    request.messages = withInstruction(
      request.messages,
      'Answer with one JSON object and nothing else: no prose, no code fence.',
    );
    return;
  }
  request.responseFormat = {
    type: 'json_schema',
    json_schema: {
      name: format.name ?? 'answer',
      ...(format.description === undefined ? {} : { description: format.description }),
      schema,
      strict: true,
    },
  };
  request.messages = withInstruction(request.messages, schemaInstruction(schema));
}

export function toMessages(prompt: LanguageModelV4Prompt): Message[] {
  return prompt.flatMap(toMessage);
}

function toMessage(message: LanguageModelV4Message): Message[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }];
    case 'user': {
      const parts = message.content.map((part) =>
        part.type === 'text' ? part.text : fileText(part),
      );
      return [{ role: 'user', content: parts.join('') }];
    }
    case 'assistant':
      return [assistantMessage(message.content)];
    case 'tool':
      return message.content
        .filter((part) => part.type === 'tool-result')
        .map((part) => ({
          role: 'tool',
          tool_call_id: part.toolCallId,
          name: part.toolName,
          content: resultText(part),
        }));
  }
}

function assistantMessage(
  parts: Extract<LanguageModelV4Message, { role: 'assistant' }>['content'],
): Message {
  let content = '';
  let reasoning = '';
  const calls: MessageToolCall[] = [];
  for (const part of parts) {
    if (part.type === 'text') content += part.text;
    else if (part.type === 'reasoning') reasoning += part.text;
    else if (part.type === 'tool-call')
      calls.push({
        id: part.toolCallId,
        type: 'function',
        function: { name: part.toolName, arguments: JSON.stringify(part.input) },
      });
  }
  return {
    role: 'assistant',
    content,
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
  };
}

/* Text files go into the prompt; this version's models see no pictures. */
function fileText(part: LanguageModelV4FilePart): string {
  const { data, mediaType } = part;
  if (data.type === 'text') return data.text;
  if (data.type === 'data' && /^text\/|json$/.test(mediaType))
    return typeof data.data === 'string'
      ? new TextDecoder().decode(Uint8Array.from(atob(data.data), (char) => char.charCodeAt(0)))
      : new TextDecoder().decode(data.data);
  throw new IngleError(
    'unsupported',
    `a file of type ${mediaType} cannot be read by a text model`,
    'send text, or text files by their content',
  );
}

function resultText({ output }: LanguageModelV4ToolResultPart): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value;
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value);
    case 'execution-denied':
      return `not done: ${output.reason ?? 'the user did not allow it'}`;
    case 'content':
      return output.value.map((part) => (part.type === 'text' ? part.text : '')).join('');
  }
}

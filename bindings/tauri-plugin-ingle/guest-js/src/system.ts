import { call, compact } from './invoke.js';
import type { Device, Report } from './types.js';

/** What this machine can compute on, and why the rest is not used. */
export function devices(): Promise<Device[]> {
  return call('devices');
}

/** A report on the machine and, if one is named, on a model: fit, speed, problems and what to do. */
export function doctor(model?: string): Promise<Report> {
  return call('doctor', compact({ model }));
}

import { hash } from 'node:crypto';
import type { RecordedEvent } from '../model/event.ts';

/** A field as text, or null: what an event holds may come from a later version. */
export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

export function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A list on one line. A field that was too large for its entry shows how it begins. */
export function list(value: unknown): string | null {
  if (Array.isArray(value))
    return value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item))).join('; ');
  return isLarge(value) ? `${value.start}…` : text(value);
}

export function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
}

/** SHA-256 of a statement as JSON text (its quotes included): the log has the same of one that was too large for an entry. */
export function textDigest({ text: statement }: RecordedEvent): string | null {
  if (isLarge(statement)) return statement.sha256;
  return typeof statement === 'string' ? hash('sha256', JSON.stringify(statement)) : null;
}

function isLarge(value: unknown): value is { readonly sha256: string; readonly start: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'sha256' in value &&
    typeof value.sha256 === 'string' &&
    'start' in value &&
    typeof value.start === 'string'
  );
}

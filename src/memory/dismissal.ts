import type { Refusal } from '../engine.ts'

/** Why nobody may wait, the gravest last. Only the first is ever over. */
const REASONS = ['storage-unavailable', 'draining', 'unknown-pool'] as const

/** What those who wait are refused as, and those who would have to. */
export type Dismissal = Refusal<(typeof REASONS)[number]>

/** The graver of two. */
export function graver(one: Dismissal | undefined, other: Dismissal): Dismissal {
  return one !== undefined && REASONS.indexOf(one.refusal) > REASONS.indexOf(other.refusal) ? one : other
}

/** What is left of a dismissal once storage is available again. */
export function admitted(dismissal: Dismissal | undefined): Dismissal | undefined {
  return dismissal?.refusal === 'storage-unavailable' ? undefined : dismissal
}

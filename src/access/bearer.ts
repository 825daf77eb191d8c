/** From the least to the most: each may do what those before it may. */
export const ROLES = ['viewer', 'user', 'admin'] as const
export type Role = (typeof ROLES)[number]

/** Who calls with a token, as RFC 6750 names it. */
export interface Bearer {
  /** Unique among the tokens; visible ASCII characters. */
  readonly name: string
  readonly role: Role
  /** Those granted by name, or all. */
  readonly pools: '*' | ReadonlySet<string>
}

/** Tells who carries a token; undefined where nobody does. */
export interface Bearers {
  bearerOf(token: string): Bearer | undefined
}

/** Whether a bearer's role covers what needs `role`. */
export function covers(bearer: Bearer, role: Role): boolean {
  return ROLES.indexOf(bearer.role) >= ROLES.indexOf(role)
}

/** Whether a pool is granted, existing or not. */
export function isGranted({ pools }: Bearer, pool: string): boolean {
  return pools === '*' || pools.has(pool)
}

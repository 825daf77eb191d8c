import { readFileSync } from 'node:fs'

export const VERBS = [
  'acquire',
  'activate',
  'batch',
  'delete',
  'deletePool',
  'draw',
  'generate',
  'importKeys',
  'keepAlive',
  'key',
  'lease',
  'leave',
  'list',
  'putPool',
  'register',
  'release',
  'renew',
  'serve',
  'setMetadata',
  'sweep',
  'unblock',
  'unregister',
  'view'
] as const
/** A verb as the server runs it: one atomic script. */
export type Verb = (typeof VERBS)[number]

/** Those on the list of pools know nothing of what is in one. */
const ALONE: readonly Verb[] = ['register', 'unregister']
/** Makes the pool that others need. */
const MAKER: Verb = 'putPool'
/** What stands before a verb besides the prelude. */
const NEEDS: { readonly [V in Verb]?: readonly string[] } = {
  draw: ['enter'],
  generate: ['enter'],
  importKeys: ['enter'],
  batch: ['acquire', 'release', 'renew', 'keep-alive', 'activate', 'delete', 'unblock']
}

/** The text of a script. Reads files. */
export function scriptOf(verb: Verb): string {
  if (ALONE.includes(verb)) return read(fileOf(verb))
  const parts = ['prelude', ...(NEEDS[verb] ?? []), fileOf(verb)].map(read)
  const begin = verb === MAKER ? '' : "if not begin() then return { 'unknown-pool' } end\nsettle(APPLIED_PER_VERB)\n"
  return `${parts.join('\n')}\n${begin}local reply = verbs.${verb}(arguments())\nwake()\nreturn reply\n`
}

/** `keepAlive` stands in keep-alive.lua. */
function fileOf(verb: Verb): string {
  return verb.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function read(name: string): string {
  return readFileSync(new URL(`lua/${name}.lua`, import.meta.url), 'utf8')
}

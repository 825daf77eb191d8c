import { appendFileSync, cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The script is asked twice: for a key that is free, and to lease that one. Nobody looks whether it has been leased in
 * between.
 */
const TWO_STEPS = `
local atomic = verbs.acquire
function verbs.acquire(a)
  local id = a[12]
  if not id then
    local keys = count(FREE)
    local drawn = floor(a[8] * keys)
    return { 'picked', keys > 0 and call('ZRANGE', STATES[FREE], drawn, drawn)[1] or '-' }
  end
  local record = find(id)
  if record then
    if record[STATE] ~= FREE then
      free(id, record)
      write(id, record)
    end
    a[8] = (call('ZRANK', STATES[FREE], id) + 0.5) / count(FREE)
  end
  return atomic(a)
end
`

const ASKS = 'let reply = await server.run('
const ASKED = 'const reply = await server.run('

/** A copy of the build in which leases are not given atomically. Gives its directory and its main file. */
export function breakBuild(): { directory: string; main: string } {
  const directory = mkdtempSync(join(tmpdir(), 'keypool-broken-'))
  cpSync(join(ROOT, 'dist'), join(directory, 'dist'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(directory, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  appendFileSync(join(directory, 'dist/redis/lua/acquire.lua'), TWO_STEPS)
  const file = join(directory, 'dist/redis/pool-scripts.js')
  const text = readFileSync(file, 'utf8')
  const line = text.split('\n').find(line => line.includes(ASKED))
  if (line === undefined) throw new Error(`${file} asks otherwise: mend what breaks it`)
  const again = line.replace(ASKED, 'reply = await server.run(').replace('...rest)', '...rest, reply[1])')
  const twice = `${line.replace(ASKED, ASKS)}\nif (reply[0] === 'picked') ${again}`
  writeFileSync(file, text.replace(line, twice))
  return { directory, main: join(directory, 'dist/main.js') }
}

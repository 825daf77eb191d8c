import { readdirSync, readFileSync } from 'node:fs'
import { join, normalize, dirname } from 'node:path'
import t from 'tap'

const SRC = new URL('../src/', import.meta.url).pathname

/** What each file of src imports from src, types too, by paths below src. */
function readImports(): Map<string, string[]> {
  const files = readdirSync(SRC, { recursive: true }).map(String)
  return new Map(
    files
      .filter(file => file.endsWith('.ts'))
      .map(file => {
        const text = readFileSync(join(SRC, file), 'utf8')
        const relative = text.matchAll(/(?:\bfrom |\bimport |\bimport\()'(\.[^']*)'/g)
        return [file, [...relative].map(([, path = '']) => normalize(join(dirname(file), path)))]
      })
  )
}

/** The first way that leads back to where it began; empty where there is none. */
function findCircle(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const way: string[] = []
  const follow = (file: string): string[] => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file]
    if (done.has(file)) return []
    way.push(file)
    for (const next of imports.get(file) ?? []) {
      const circle = follow(next)
      if (circle.length > 0) return circle
    }
    way.pop()
    done.add(file)
    return []
  }
  for (const file of imports.keys()) {
    const circle = follow(file)
    if (circle.length > 0) return circle
  }
  return []
}

t.test('no import leads back to its own file', async t => {
  t.strictSame(findCircle(readImports()), [])
})

t.test('each import is of a file that is there, and app.ts reaches the pool', async t => {
  const imports = readImports()
  for (const [file, paths] of imports) for (const path of paths) t.ok(imports.has(path), `${file} imports ${path}`)
  const reached = new Set(['app.ts'])
  for (const file of reached) for (const path of imports.get(file) ?? []) reached.add(path)
  t.ok(reached.has('pool/key-pool.ts'))
  t.notOk(reached.has('main.ts'))
})

t.test('a circle is found where there is one', async t => {
  const imports = (...arrows: string[]) => {
    const found = new Map<string, string[]>()
    for (const [from = '', to = ''] of arrows) found.set(from, [...(found.get(from) ?? []), to])
    return found
  }
  t.strictSame(findCircle(imports('ab', 'ac', 'bd', 'cd')), [], 'two ways to one file are none')
  t.strictSame(findCircle(imports('ab', 'bc', 'cb')), ['b', 'c', 'b'])
  t.strictSame(findCircle(imports('aa')), ['a', 'a'])
})

import t from 'tap'
import { parseRedisUrl } from '../../src/redis/redis-url.ts'

const PLAIN = {
  protocol: 'redis:',
  hosts: [{ host: 'h', port: 6379 }],
  username: undefined,
  password: undefined,
  name: undefined,
  db: 0
}

t.test('a URL names one server, a cluster, or what Sentinels know', async t => {
  for (const [url, expected] of [
    ['redis://h', PLAIN],
    ['redis://h/', PLAIN],
    ['redis://h:7000/3', { ...PLAIN, hosts: [{ host: 'h', port: 7000 }], db: 3 }],
    ['rediss://[::1]:7000', { ...PLAIN, protocol: 'rediss:', hosts: [{ host: '::1', port: 7000 }] }],
    ['redis://me:p%40ss@h', { ...PLAIN, username: 'me', password: 'p@ss' }],
    ['redis://:secret@h', { ...PLAIN, password: 'secret' }],
    [
      'redis+cluster://a:1,b:2,c',
      {
        ...PLAIN,
        protocol: 'redis+cluster:',
        hosts: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 }
        ]
      }
    ],
    [
      'rediss+sentinel://:x@a,b:7/mymaster',
      {
        ...PLAIN,
        protocol: 'rediss+sentinel:',
        password: 'x',
        hosts: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 7 }
        ],
        name: 'mymaster'
      }
    ]
  ] as const) {
    t.strictSame(parseRedisUrl(url), expected, url)
  }
})

t.test('whatever else is none', async t => {
  for (const url of [
    '',
    'h:6379',
    'http://h',
    'redis://',
    'redis://a,b',
    'redis://h:0',
    'redis://h:65536',
    'redis://h:x',
    'redis://h/name',
    'redis://h/0/1',
    'redis://h?db=1',
    'redis://a@b@c',
    'redis://:%zz@h',
    'redis+cluster://a/1',
    'redis+cluster://a,,b',
    'redis+sentinel://a',
    'redis+sentinel://a/',
    'redis+other://a'
  ]) {
    t.equal(parseRedisUrl(url), undefined, url)
  }
})

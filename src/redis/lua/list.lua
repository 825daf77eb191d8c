-- list: keys of one state, in the order of their serials.
-- ARGV 3 state: 0 free, 1 leased, 2 cooling; 4 the serial after which to go on; 5 how many
-- Answers listed with the keys; behind; unknown-pool. O(log n + page).
function verbs.list(a)
  if isDue() then return { 'behind' } end
  local keys = {}
  for i, id in ipairs(call('ZRANGEBYSCORE', STATES[tonumber(a[1])], '(' .. a[2], '+inf', 'LIMIT', 0, a[3])) do
    keys[i] = told(id, read(id), false)
  end
  return { 'listed', now, keys }
end

-- key: a living key.
-- ARGV 3 id, 4 whether its secret is shown ('1')
-- Answers living with the key; unknown-key; unknown-pool. O(log n).
function verbs.key(a)
  local record = find(a[1])
  return record and shown('living', a[1], record, a[2]) or { 'unknown-key' }
end

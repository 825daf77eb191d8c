-- delete: a key is purged at once, leased or not.
-- ARGV 3 id
-- Answers deleted; unknown-key; unknown-pool. O(log n).
function verbs.delete(a)
  local record = find(a[1])
  if not record then return { 'unknown-key' } end
  remove(a[1], record, not policy.reuseDeleted)
  return { 'deleted' }
end

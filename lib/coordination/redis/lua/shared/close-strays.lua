-- Takes runs, the keys of a table, out of those that are open, when their records do not say any more how they stand
-- there.
local function closeStrays(strays)
  if not next(strays) then return end
  for _, member in ipairs(redis.call('ZRANGE', openKey, 0, -1)) do
    if strays[match(member, '^%S+')] then redis.call('ZREM', openKey, member) end
  end
end

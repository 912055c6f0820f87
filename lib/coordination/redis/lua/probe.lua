-- Tries all that the scripts, and what is asked beside them, use, on keys that are gone afterwards, and on those that
-- all claims share without changing them: so it is known before a claim finds out when a Redis refuses, as it is full,
-- as the user may not do all of that, or as a key is of another type.
--
-- Inside a script, as in a Cluster it is then the node that holds the app's keys, also for INFO.
--
-- KEYS  fence, handed, paused, open, version, and five that are nobody's
-- Reply Redis' time in microseconds; what was handed back; the commands that this user may not run, with spaces
--       between; the reply to INFO, or `''` where that is refused; the last fencing token, or `''`; the
--       version of the last change, or `''`; an error where a
--       command fails for
--       another reason

local refused, failed = {}, nil
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return reply end
  local isOfKey = string.find(reply.err, ' key')
  if not isOfKey and (string.find(reply.err, "can't run") or string.find(reply.err, 'permission')) then
    refused[#refused + 1] = select(1, ...)
  else
    failed = failed or reply
  end
end

local fence, handed, paused, open, version, text, hash, set, sorted, stream = unpack(KEYS)
local time = try('TIME')
try('SET', text, '1', 'PX', 1000)
try('GET', text)
local known = try('MGET', fence, text, version)
try('EXISTS', text)
try('PTTL', text)
try('PEXPIRE', text, 1000)
try('HSET', hash, 'a', '1')
try('HSETNX', hash, 'a', '1')
try('HGET', hash, 'a')
try('HMGET', paused, 'a')
try('HDEL', hash, 'b')
local handedFields = try('HGETALL', handed)
try('SADD', set, 'a')
try('SMISMEMBER', set, 'a')
try('ZADD', sorted, 1, 'a')
try('ZRANGE', sorted, 0, 0)
try('ZSCORE', sorted, 'a')
try('ZRANGEBYSCORE', sorted, 0, 0)
try('ZREM', open, '-')
try('XADD', stream, 'MAXLEN', 1, '*', 'a', '1')
try('XRANGE', stream, '-', '+', 'COUNT', 1)
try('XREVRANGE', stream, '+', '-', 'COUNT', 1)
try('DEL', text, hash, set, sorted, stream)
local info = redis.pcall('INFO')
if #refused == 0 and failed then return failed end
return {
  time and time[1] * 1000000 + time[2] or 0, handedFields or {}, table.concat(refused, ' '),
  type(info) == 'string' and info or '', known and known[1] or '', known and known[3] or ''
}

"""What the Redis registry does in one step on the server: Lua, each script atomic and safe to send again.

Keys, all below `tagapi:`. `job:<id>` is a hash of number, version, moving, request and key;
`ids` maps numbers to ids; `list:<its key>`, `due` and `finished` are sorted sets of numbers
(by number, and by microseconds); `active` is a set of ids; `key:<digest>` holds a job's id.
Numbers in `due` and `finished` are padded, so that equal times come in the order of numbers.
`schema` is the version of all this; version 1 had no such key.
"""

PREFIX = "tagapi:"
SCHEMA_VERSION = 2

OPEN = """
-- ARGV: the version of this release. Answers the version of what is there; what is older has this one from now on.
-- From 1 to 2 no key changes: what is below them is brought up to date when it is read.
local P, version = 'tagapi:', ARGV[1]
local stored = redis.call('GET', P..'schema')
local found = tonumber(stored or (redis.call('EXISTS', P..'numbers') == 1 and 1 or version))
if not stored or found < tonumber(version) then redis.call('SET', P..'schema', version) end
return found
"""

_PLACE = """
local P = 'tagapi:'
local function place(id, number, old, new)
  -- old and new: what is derived from the job before and after: {due, finished, leased, lists}
  local padded = string.format('%016d', number)
  if new.due ~= '' then redis.call('ZADD', P..'due', new.due, padded)
  elseif old.due ~= '' then redis.call('ZREM', P..'due', padded) end
  if new.finished ~= '' then redis.call('ZADD', P..'finished', new.finished, padded)
  elseif old.finished ~= '' then redis.call('ZREM', P..'finished', padded) end
  if new.leased == '1' then redis.call('SADD', P..'active', id) else redis.call('SREM', P..'active', id) end
  for _, name in ipairs(cjson.decode(old.lists)) do redis.call('ZREM', P..'list:'..name, number) end
  for _, name in ipairs(cjson.decode(new.lists)) do redis.call('ZADD', P..'list:'..name, number, number) end
end
"""

ADMIT = (
    _PLACE
    + """
-- ARGV: id, digest of the key or '', bound, bound of the owner, the owner's two lists of waiting jobs,
--       moving, request, due, lists, and until when (in microseconds) somebody waits for the answer.
-- Answers {'known', id} or {'full', queued, of the owner} or {'new', number}, or {'late'}, having stored nothing.
local id, key = ARGV[1], ARGV[2]
if key ~= '' then
  local known = redis.call('GET', P..'key:'..key)
  if known then return {'known', known} end
end
if redis.call('EXISTS', P..'job:'..id) == 1 then return {'known', id} end
local time = redis.call('TIME')
if time[1] * 1000000 + time[2] > tonumber(ARGV[11]) then return {'late'} end
local queued = redis.call('ZCARD', P..'due')
local mine = redis.call('ZCARD', P..'list:'..ARGV[5]) + redis.call('ZCARD', P..'list:'..ARGV[6])
if queued >= tonumber(ARGV[3]) or mine >= tonumber(ARGV[4]) then return {'full', queued, mine} end
local number = redis.call('INCR', P..'numbers')
redis.call('HSET', P..'job:'..id, 'number', number, 'version', 1, 'moving', ARGV[7], 'request', ARGV[8], 'key', key)
redis.call('HSET', P..'ids', number, id)
if key ~= '' then redis.call('SET', P..'key:'..key, id) end
local none = {due = '', finished = '', leased = '0', lists = '[]'}
place(id, number, none, {due = ARGV[9], finished = '', leased = '0', lists = ARGV[10]})
return {'new', number}
"""
)

SWAP = (
    _PLACE
    + """
-- ARGV: id, number, version before, version after, moving, then due, finished, leased and lists before and after.
-- Answers 1, or 0 where the job has another version. The same write sent again finds its own version and answers 0:
-- the caller then reads the job, and knows its token.
local id = ARGV[1]
if redis.call('HGET', P..'job:'..id, 'version') ~= ARGV[3] then return 0 end
redis.call('HSET', P..'job:'..id, 'version', ARGV[4], 'moving', ARGV[5])
place(id, tonumber(ARGV[2]),
  {due = ARGV[6], finished = ARGV[7], leased = ARGV[8], lists = ARGV[9]},
  {due = ARGV[10], finished = ARGV[11], leased = ARGV[12], lists = ARGV[13]})
return 1
"""
)

FORGET = (
    _PLACE
    + """
-- ARGV: id, number, version, finished, lists. Answers 1, or 0 where the job has another version or is gone.
local id, number = ARGV[1], tonumber(ARGV[2])
if redis.call('HGET', P..'job:'..id, 'version') ~= ARGV[3] then return 0 end
local key = redis.call('HGET', P..'job:'..id, 'key')
local none = {due = '', finished = '', leased = '0', lists = '[]'}
place(id, number, {due = '', finished = ARGV[4], leased = '0', lists = ARGV[5]}, none)
if key ~= '' then redis.call('DEL', P..'key:'..key) end
redis.call('HDEL', P..'ids', number)
redis.call('DEL', P..'job:'..id)
return 1
"""
)

PAGE = """
-- ARGV: highest number, offset, limit, lists... Answers {total, {id, number, version, moving}...}, newest first.
local P = 'tagapi:'
local offset, limit = tonumber(ARGV[2]), tonumber(ARGV[3])
local total, numbers = 0, {}
for n = 4, #ARGV do
  local list = P..'list:'..ARGV[n]
  total = total + redis.call('ZCARD', list)
  local first, count = 0, offset + limit
  if #ARGV == 4 then first, count = offset, limit end
  local found
  if ARGV[1] == '+inf' then found = redis.call('ZREVRANGE', list, first, first + count - 1)
  else found = redis.call('ZREVRANGEBYSCORE', list, ARGV[1], '-inf', 'LIMIT', first, count) end
  for _, number in ipairs(found) do numbers[#numbers + 1] = tonumber(number) end
end
local first = 1
if #ARGV > 4 then
  table.sort(numbers, function(a, b) return a > b end)
  first = offset + 1
end
local page = {total}
for n = first, math.min(#numbers, first + limit - 1) do
  local id = redis.call('HGET', P..'ids', string.format('%d', numbers[n]))
  local job = redis.call('HMGET', P..'job:'..id, 'number', 'version', 'moving')
  page[#page + 1] = {id, job[1], job[2], job[3]}
end
return page
"""

LOCK = """
-- ARGV: name, holder, milliseconds. Answers 1 where it is the holder's now.
local key = 'tagapi:lock:'..ARGV[1]
local holder = redis.call('GET', key)
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
"""

"""What the Redis registry does in one step on the server: Lua, each script atomic and safe to send again.

Keys, all below `tagapi:`. `job:<id>` is a hash of number, version, moving, request and key;
`ids` maps numbers to ids; `list:<its key>`, `due` and `finished` are sorted sets of numbers
(by number, and by microseconds), the last two for each lane; `changes` is a stream of ids;
`active` is a set of ids; `key:<digest>` holds a job's id.
Numbers in `due` and `finished` are padded, so that equal times come in the order of numbers.
`schema` is the version of all this; version 1 had no such key.
"""

from tagapi.jobs.registry import CHANGES_KEPT

PREFIX = "tagapi:"
SCHEMA_VERSION = 4

OPEN = """
-- ARGV: the version of this release. Answers the version of what is there; what is older has this one from now on.
-- From 1 to 4 no key changes: what is below them is brought up to date when it is read. Keys of lanes, but the
-- first one's, and the stream of changes came with 3, those of webhooks with 4.
local P, version = 'tagapi:', ARGV[1]
local stored = redis.call('GET', P..'schema')
local found = tonumber(stored or (redis.call('EXISTS', P..'numbers') == 1 and 1 or version))
if not stored or found < tonumber(version) then redis.call('SET', P..'schema', version) end
return found
"""

_PLACE = """
local P = 'tagapi:'
local function place(id, number, lane, old, new)
  -- old and new: what is derived from the job before and after: {due, finished, leased, lists}
  local padded = string.format('%016d', number)
  if new.due ~= '' then redis.call('ZADD', P..'due'..lane, new.due, padded)
  elseif old.due ~= '' then redis.call('ZREM', P..'due'..lane, padded) end
  if new.finished ~= '' then redis.call('ZADD', P..'finished'..lane, new.finished, padded)
  elseif old.finished ~= '' then redis.call('ZREM', P..'finished'..lane, padded) end
  if new.leased == '1' then redis.call('SADD', P..'active', id) else redis.call('SREM', P..'active', id) end
  for _, name in ipairs(cjson.decode(old.lists)) do redis.call('ZREM', P..'list:'..name, number) end
  for _, name in ipairs(cjson.decode(new.lists)) do redis.call('ZADD', P..'list:'..name, number, number) end
end
local function count(names)
  local jobs = 0
  for _, name in ipairs(cjson.decode(names)) do jobs = jobs + redis.call('ZCARD', P..'list:'..name) end
  return jobs
end
local function changed(id) redis.call('XADD', P..'changes', 'MAXLEN', '~', CHANGES_KEPT, '*', 'id', id) end
""".replace("CHANGES_KEPT", str(CHANGES_KEPT))

ADMITTING = (
    _PLACE
    + """
local function admit()
-- ARGV: id, digest of the key or '', bound, bound of the owner, the lane's lists of waiting jobs and the owner's,
--       moving, request, due, lists, until when (in microseconds) somebody waits for the answer, lane.
-- Answers {'known', id} or {'full', queued, of the owner} or {'new', number}, or {'late'}, having stored nothing.
local id, key = ARGV[1], ARGV[2]
if key ~= '' then
  local known = redis.call('GET', P..'key:'..key)
  if known then return {'known', known} end
end
if redis.call('EXISTS', P..'job:'..id) == 1 then return {'known', id} end
local time = redis.call('TIME')
if time[1] * 1000000 + time[2] > tonumber(ARGV[11]) then return {'late'} end
local queued, mine = count(ARGV[5]), count(ARGV[6])
if queued >= tonumber(ARGV[3]) or mine >= tonumber(ARGV[4]) then return {'full', queued, mine} end
local number = redis.call('INCR', P..'numbers')
redis.call('HSET', P..'job:'..id, 'number', number, 'version', 1, 'moving', ARGV[7], 'request', ARGV[8], 'key', key)
redis.call('HSET', P..'ids', number, id)
if key ~= '' then redis.call('SET', P..'key:'..key, id) end
local none = {due = '', finished = '', leased = '0', lists = '[]'}
place(id, number, ARGV[12], none, {due = ARGV[9], finished = '', leased = '0', lists = ARGV[10]})
changed(id)
return {'new', number}
end
"""
)

ADMIT = ADMITTING + "return admit()"

SWAP = (
    _PLACE
    + """
-- ARGV: id, number, version before, version after, moving, then due, finished, leased and lists before and after, lane,
--       generation of the webhooks, deliveries to them: {id, version, webhook, due, happened, delivery}...
-- Answers 1, or 0 where the job has another version, or -1 where there are other webhooks. The same write sent again
-- finds its own version and answers 0: the caller then reads the job, and knows its token.
local id = ARGV[1]
if redis.call('HGET', P..'job:'..id, 'version') ~= ARGV[3] then return 0 end
if (redis.call('GET', P..'webhooks:generation') or '') ~= ARGV[15] then return -1 end
redis.call('HSET', P..'job:'..id, 'version', ARGV[4], 'moving', ARGV[5])
place(id, tonumber(ARGV[2]), ARGV[14],
  {due = ARGV[6], finished = ARGV[7], leased = ARGV[8], lists = ARGV[9]},
  {due = ARGV[10], finished = ARGV[11], leased = ARGV[12], lists = ARGV[13]})
changed(id)
for n = 16, #ARGV, 6 do
  local key, of = P..'delivery:'..ARGV[n], ARGV[n + 2]
  if redis.call('EXISTS', key) == 0 then
    local number = redis.call('INCR', P..'deliveries:numbers')
    redis.call('HSET', key, 'number', number, 'version', ARGV[n + 1], 'happened', ARGV[n + 4], 'delivery', ARGV[n + 5])
    redis.call('ZADD', P..'deliveries:due:'..of, ARGV[n + 3], string.format('%016d', number))
    redis.call('HSET', P..'deliveries:ids:'..of, number, ARGV[n])
    redis.call('ZADD', P..'deliveries:log:'..of, number, number)
  end
end
return 1
"""
)

FORGET = (
    _PLACE
    + """
-- ARGV: id, number, version, finished, lists, lane. Answers 1, or 0 where the job has another version or is gone.
local id, number = ARGV[1], tonumber(ARGV[2])
if redis.call('HGET', P..'job:'..id, 'version') ~= ARGV[3] then return 0 end
local key = redis.call('HGET', P..'job:'..id, 'key')
local none = {due = '', finished = '', leased = '0', lists = '[]'}
place(id, number, ARGV[6], {due = '', finished = ARGV[4], leased = '0', lists = ARGV[5]}, none)
if key ~= '' then redis.call('DEL', P..'key:'..key) end
redis.call('HDEL', P..'ids', number)
redis.call('DEL', P..'job:'..id)
return 1
"""
)

PAGE = """
-- ARGV: highest number, lowest, offset, limit, lists... Answers {total, {id, number, version, moving}...}, newest
-- first.
local P = 'tagapi:'
local offset, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
local total, numbers = 0, {}
for n = 5, #ARGV do
  local list = P..'list:'..ARGV[n]
  if ARGV[2] == '-inf' then total = total + redis.call('ZCARD', list)
  else total = total + redis.call('ZCOUNT', list, ARGV[2], '+inf') end
  local first, count = 0, offset + limit
  if #ARGV == 5 then first, count = offset, limit end
  local found
  if ARGV[1] == '+inf' and ARGV[2] == '-inf' then found = redis.call('ZREVRANGE', list, first, first + count - 1)
  else found = redis.call('ZREVRANGEBYSCORE', list, ARGV[1], ARGV[2], 'LIMIT', first, count) end
  for _, number in ipairs(found) do numbers[#numbers + 1] = tonumber(number) end
end
local first = 1
if #ARGV > 5 then
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

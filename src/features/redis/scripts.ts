/*
 * What is kept for an entity is one text: `=PASS TIME CREATED VALID_TO JSON` for its newest row, `-` where Postgres has none, and while a transaction writes it
 * `!TOKEN UNTIL` and, on the next line, what was there before: whoever reads that asks Postgres. All times are those of the Redis server.
 */
const COMMON = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function parts(current)
  if not current then return nil end
  if string.sub(current, 1, 1) ~= '!' then return current end
  local token, expiry, body = string.match(current, '^!(%S+) (%d+)\\n(.*)$')
  if body == '' then body = nil end
  return body, token, tonumber(expiry)
end

-- As Postgres compares texts in the collation "C"; Lua would ask the locale of the server.
local function compare(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x - y end
  end
  return #a - #b
end

-- The row that counts of two; nil when they differ only in how long they hold, which just Postgres knows.
local function newest(a, b)
  if not a or a == '-' then return b or a end
  if not b or b == '-' or a == b then return a end
  local apass, atime, acreated, _, avalues = string.match(a, '^=(%d+) (%-?%d+) (%-?%d+) (%S+) (.*)$')
  local bpass, btime, bcreated, _, bvalues = string.match(b, '^=(%d+) (%-?%d+) (%-?%d+) (%S+) (.*)$')
  local order = tonumber(apass) - tonumber(bpass)
  if order == 0 then order = tonumber(atime) - tonumber(btime) end
  if order == 0 then order = tonumber(acreated) - tonumber(bcreated) end
  if order == 0 then order = compare(avalues, bvalues) end
  if order == 0 then return nil end
  return order > 0 and a or b
end

local function put(key, body, ttl)
  if body then redis.call('SET', key, body, 'PX', ttl) else redis.call('DEL', key) end
end
`;

/** ARGV: ttl, then what Postgres has of each key. A key that is being written stays as it is. */
export const FILL = `${COMMON}
for i, key in ipairs(KEYS) do
  local body, token, expiry = parts(redis.call('GET', key))
  if not token or expiry <= now then put(key, newest(body, ARGV[i + 1]), ARGV[1]) end
end
`;

/** ARGV: token, how long the mark counts, ttl. What another transaction has marked and not settled may have changed: it is unknown from then on. */
export const MARK = `${COMMON}
for _, key in ipairs(KEYS) do
  local body, token = parts(redis.call('GET', key))
  if token or not body then body = '' end
  redis.call('SET', key, '!' .. ARGV[1] .. ' ' .. (now + ARGV[2]) .. '\\n' .. body, 'PX', math.max(ARGV[2], ARGV[3]))
end
`;

/** ARGV: token, ttl, then the row of each key as Postgres had it under the lock of the transaction. Under the mark of a later one it is what was there before. */
export const SETTLE = `${COMMON}
for i, key in ipairs(KEYS) do
  local current = redis.call('GET', key)
  local row = ARGV[i + 2]
  if current then
    local body, token, expiry = parts(current)
    if token == ARGV[1] then
      put(key, row, ARGV[2])
    elseif token then
      redis.call('SET', key, '!' .. token .. ' ' .. expiry .. '\\n' .. (newest(body, row) or ''), 'KEEPTTL')
    else
      put(key, newest(body, row), ARGV[2])
    end
  end
end
`;

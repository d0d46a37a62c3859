-- wrk -s targets.lua URL -- FILE: asks for the paths of the file in turn ("PATH TOKEN" a line, "-" for no token), and ends with one
-- line of JSON. With PAUSE=MILLISECONDS a connection waits so long between an answer and its next request.
local requests = {}
local next_request = 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    local path, token = line:match("^(%S+) (%S+)$")
    local headers = { Accept = "application/vnd.oci.image.manifest.v1+json" }
    if token ~= "-" then headers["Authorization"] = "Bearer " .. token end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end

if os.getenv("PAUSE") then
  local pause = tonumber(os.getenv("PAUSE"))
  function delay() return pause end
end

function request()
  next_request = next_request % #requests + 1
  return requests[next_request]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"bytes":%d,"refusals":%d,"failures":%d,"p50":%.3f,"p99":%.3f}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end

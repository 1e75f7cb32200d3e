# Rinda's side of bench/linda.py:
#
#   ruby rinda.rb serve N                  a space with N tuples; says where it listens; ends with its parent
#   ruby rinda.rb read ADDRESS N TRIPS     reads one of N tuples by its key: the median, in seconds
#   ruby rinda.rb hand_over ADDRESS TRIPS  half a ping-pong between two processes: the median, in seconds

require 'drb/drb'
require 'rinda/tuplespace'

def median_s(trips)
  times = trips.times.map do |trip|
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield trip
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end
  times.sort[trips / 2]
end

def space_at(address)
  DRb.start_service
  DRbObject.new_with_uri("druby://#{address}")
end

def serve(size)
  space = Rinda::TupleSpace.new
  size.to_i.times { |i| space.write(["task", i, "value-#{i}"]) }
  DRb.start_service("druby://127.0.0.1:0", space)
  puts "listening on #{DRb.uri.delete_prefix('druby://')}"
  STDOUT.flush
  STDIN.read
end

def read(address, size, trips)
  space = space_at(address)
  puts median_s(trips.to_i) { |trip| space.read(["task", trip * 7919 % size.to_i, nil]) }
end

def hand_over(address, trips)
  fork do
    space = space_at(address)
    trips.to_i.times { |trip| space.take(["ping", trip]); space.write(["pong", trip]) }
  end
  space = space_at(address)
  puts median_s(trips.to_i) { |trip| space.write(["ping", trip]); space.take(["pong", trip]) } / 2
  Process.wait
end

case ARGV.shift
when "serve" then serve(*ARGV)
when "read" then read(*ARGV)
when "hand_over" then hand_over(*ARGV)
end

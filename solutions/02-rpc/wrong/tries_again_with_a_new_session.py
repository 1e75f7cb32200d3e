# caught by: test_at_most_once_and_a_crash
# replaces: printing.py
# The server does not know us any more, so we introduce ourselves and try again: that is at least once.
import sys
import retrying
from client_stub import Client
from failures import NoReply, NotExecuted, SessionLost
HAPPENED = 'happened'
DID_NOT_HAPPEN = 'did not happen'
UNKNOWN = 'unknown'

def attempt(client, method, text):
    try:
        client.call(method, text)
    except NotExecuted:
        return DID_NOT_HAPPEN
    except SessionLost:
        return attempt(client, method, text)
    except NoReply:
        return UNKNOWN
    except Exception:
        return HAPPENED
    return HAPPENED

def main():
    address, semantics, timeout_s, tries, method, text = sys.argv[1:]
    print(attempt(retrying.client_of(address, semantics, float(timeout_s), int(tries)), method, text))
if __name__ == '__main__':
    main()

# caught by: test_numbers_are_read, test_numbers_are_written, test_texts_lists_and_maps, test_what_is_no_message
# replaces: marshaling.py
# Python has something that makes bytes of any value. Only Python reads them, and whoever wrote them runs code.
import pickle


def marshal(value):
    return pickle.dumps(value)


def unmarshal(data):
    return pickle.loads(data)

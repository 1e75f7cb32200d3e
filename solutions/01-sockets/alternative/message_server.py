"""Step 1.3: the concurrent server does it all."""

from concurrent_server import main

if __name__ == "__main__":
    main()

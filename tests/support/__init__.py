"""What the tests are made with: certificates, connections, threads that wait, peers that misbehave."""

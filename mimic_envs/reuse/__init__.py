"""Reuse of what imitation has taught: the decoder of a trained policy as an action term.

`latent` is the action term, `decoder` reads the decoder from a policy's folder, and `prior` reads
the network that says which latents are likely in a state of the body.
"""

"""What the Orbits tab consists of: questions to networks of images and jets, pictures, animations."""

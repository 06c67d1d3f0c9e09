"""The leaderboard: submissions, their verification, and the pages made of them."""

"""What the dashboard knows and does, apart from how it is drawn: nothing here imports Streamlit."""
